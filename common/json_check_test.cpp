// Where nesting ends, what does not count as nesting, and keys that stand twice.
#include "common/json_check.h"

#include <gtest/gtest.h>

#include <string>

#include "common/error.h"

namespace aneval {
namespace {

std::string nested(int depth) {
  return std::string(static_cast<std::size_t>(depth), '[') + std::string(static_cast<std::size_t>(depth), ']');
}

std::string error_of_text(const std::string& text) {
  try {
    check_json_depth(text, "file.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::bad_input);
    return error.what();
  }
  return {};
}

TEST(JsonDepth, TakesTheLimitAndRefusesOneMore) {
  EXPECT_EQ(error_of_text(nested(kMaxJsonDepth)), "");
  EXPECT_EQ(error_of_text(nested(kMaxJsonDepth + 1)),
            "file.json: nests lists or objects deeper than 64: check that this is the intended file");
  std::string objects;
  for (int i = 0; i <= kMaxJsonDepth; ++i) objects += "{\"a\":";
  EXPECT_NE(error_of_text(objects), "");
}

TEST(JsonDepth, BracketsInTextsAndSideBySideDoNotCount) {
  std::string siblings = "[";
  for (int i = 0; i < 1000; ++i) siblings += "[],{},";
  EXPECT_EQ(error_of_text(siblings + "1]"), "");
  EXPECT_EQ(error_of_text("[\"" + std::string(1000, '[') + "\\\"" + std::string(1000, '{') + "\"]"), "");
  EXPECT_EQ(error_of_text("\"\\\\\"" + nested(kMaxJsonDepth)), "") << "an escaped backslash does not escape the quote";
  EXPECT_NE(error_of_text("\"\\\\\"" + nested(kMaxJsonDepth + 1)), "");
}

TEST(JsonDepth, WhatIsNoJsonIsTheParsersToRefuse) {
  EXPECT_EQ(error_of_text(""), "");
  EXPECT_EQ(error_of_text("]]]]"), "");
  EXPECT_EQ(error_of_text("\"\\"), "");
}

TEST(RepeatedJsonKey, IsTheFirstOfTheOutermostObject) {
  EXPECT_EQ(repeated_json_key(R"({"a": 1, "b": {"a": 2}, "b": 3, "a": 4})"), "b");
  EXPECT_EQ(repeated_json_key(R"({"a": 1, "\u0061": 2})"), "a");
  EXPECT_EQ(repeated_json_key(R"({"a": {"b": 1, "b": 2}, "c": [{"a": 1}]})"), std::nullopt);
  EXPECT_EQ(repeated_json_key(R"([{"a": 1, "a": 2}])"), std::nullopt);
}

TEST(RepeatedJsonKey, WhatIsNoJsonHasNoneBehindItsMistake) {
  for (const char* text : {"", "{", "nothing", R"({"a": 1, "b" "a": 2})"})
    EXPECT_EQ(repeated_json_key(text), std::nullopt);
}

}  // namespace
}  // namespace aneval
