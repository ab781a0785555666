// Settings of every rule, and profiles out of files: what comes out, and what is refused with which words.
#include "ane/emulator/profile_file.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "ane/emulator/emulator.h"
#include "ane/mil/text.h"
#include "common/error.h"
#include "common/files.h"

namespace aneval::emulator {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

template <class Call>
std::string error_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::bad_input);
    return error.what();
  }
  ADD_FAILURE() << "nothing was refused";
  return {};
}

TEST(Rules, EveryProfileHasExactlyOneValueOfEveryRule) {
  for (const Profile& profile : profiles())
    for (const Rule rule : all_rules()) {
      int held = 0;
      for (const RuleValue& value : rule_values(rule)) held += value.holds(profile) ? 1 : 0;
      EXPECT_EQ(held, 1) << profile.name << " " << rule_name(rule);
      EXPECT_EQ(find_rule(rule_name(rule)), rule);
    }
}

TEST(Rules, ASettingGivesTheValueAndLeavesWhatDoesNotFollow) {
  int set = 0;
  for (const Profile& base : profiles()) {
    if (base.specials == Specials::ieee) continue;
    for (const Rule rule : all_rules()) {
      if (!is_setting(rule)) continue;
      for (const RuleValue& value : rule_values(rule)) {
        const Profile got =
            find_profile(base.name + ":" + std::string(rule_name(rule)) + "=" + std::string(value.name));
        EXPECT_EQ(rule_value(got, rule).name, value.name) << got.name;
        for (const Rule other : all_rules()) {
          const bool follows = rule == Rule::accumulator && !is_setting(other);
          if (other == rule || follows) continue;
          EXPECT_EQ(rule_text(got, other), rule_text(base, other)) << got.name;
        }
        ++set;
      }
    }
  }
  EXPECT_EQ(set, 6 * (3 + 2 + 3 + 2));
  const Profile both = find_profile("h13:reduce_sum=wide;slice=exact");
  EXPECT_EQ(both.reduce_sum, Summation::wide);
  EXPECT_FALSE(both.slice_gain);
}

TEST(Rules, WhatCannotBeSetIsRefusedWithItsReason) {
  for (const auto& [text, words] :
       {std::pair{"h16:overflow=from_32768", "overflow is no setting"},
        std::pair{"ieee:slice=limit_4094", "knows no IEEE infinities"},
        std::pair{"ieee:accumulator=four_lane", "knows no IEEE infinities"},
        std::pair{"ieee:elementwise=half_away", "knows no IEEE infinities"},
        std::pair{"h16:slice=exat", "did you mean 'exact'"}, std::pair{"h16:slice=exact;slice=exact", "given twice"}})
    EXPECT_THAT(error_of([&] { (void)find_profile(text); }), HasSubstr(words)) << text;
}

class ProfileFile : public ::testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(file_); }

  /// What a probe writes that recovered the profile.
  static Json file_of(const Profile& profile, const std::string& base, const std::string& backend = "apple") {
    Json json = {{"schema", 1},      {"kind", "aneval probe"}, {"backend", backend}, {"chip", "Apple M9"},
                 {"os", "macOS 30"}, {"date", "2026-11-28"},   {"base", base}};
    for (const Rule rule : all_rules()) json["rules"][rule_name(rule)]["value"] = rule_value(profile, rule).name;
    return json;
  }
  Profile read(const Json& json) const { return read_text(json.dump()); }
  Profile read_text(const std::string& text) const {
    write_file(file_, text);
    return find_profile(file_.string());
  }

  const std::filesystem::path file_ =
      std::filesystem::temp_directory_path() / ("aneval-profile-" + std::to_string(getpid()) + ".json");
};

TEST_F(ProfileFile, GivesBackWhatWasWritten) {
  for (const std::string name : {"ieee", "h13", "h16", "h18:reduce_sum=wide", "h13:elementwise=half_away;slice=exact",
                                 "h16:accumulator=four_lane;reduce_sum=fp32", "ieee:reduce_sum=fp16"}) {
    const Profile written = find_profile(name);
    const Profile got = read(file_of(written, name.substr(0, name.find(':'))));
    EXPECT_EQ(got.name, name);
    for (const Rule rule : all_rules()) {
      EXPECT_EQ(rule_value(got, rule).name, rule_value(written, rule).name) << name;
      EXPECT_EQ(got.ground(rule).evidence, Evidence::measured);
      EXPECT_THAT(got.ground(rule).source, HasSubstr("Apple M9, macOS 30, 2026-11-28"));
    }
  }
}

TEST_F(ProfileFile, OfTheEmulatorProvesNothingAboutAChip) {
  const Profile h13 = find_profile("h13");
  const Profile got = read(file_of(h13, "h13", "emulator"));
  for (const Rule rule : all_rules()) EXPECT_EQ(got.ground(rule).source, h13.ground(rule).source);
}

TEST_F(ProfileFile, ARuleWithoutAValueStaysTheBases) {
  Json json = file_of(find_profile("h16"), "h16");
  json["rules"]["softmax"]["value"] = nullptr;
  json["rules"]["reduce_sum"]["value"] = nullptr;
  const Profile got = read(json);
  EXPECT_EQ(got.name, "h16");
  EXPECT_EQ(got.ground(Rule::softmax).evidence, Evidence::unmeasured);
  EXPECT_THAT(got.ground(Rule::softmax).source, HasSubstr("as h16"));
}

/// Bits of a function of every fp16 number.
std::vector<ane::half_t> bits_of(double (*function)(double)) {
  std::vector<ane::half_t> bits(65536);
  for (std::size_t i = 0; i < bits.size(); ++i) {
    const auto x = static_cast<double>(ane::to_float(static_cast<ane::half_t>(i)));
    bits[i] = std::isfinite(x) ? ane::to_half(function(x)) : ane::half_t{0};
  }
  return bits;
}

std::string hex_of(const std::vector<ane::half_t>& bits) {
  std::string text;
  for (const ane::half_t value : bits)
    for (const int shift : {12, 8, 4, 0}) text += "0123456789abcdef"[value >> shift & 15];
  return text;
}

double exact_sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

TEST_F(ProfileFile, AMeasuredSigmoidIsWhatTheEmulatorComputes) {
  Json json = file_of(find_profile("h16"), "h16");
  const auto bits = bits_of(exact_sigmoid);
  json["rules"]["sigmoid"] = {{"value", "measured"}, {"tables", {{"sigmoid", hex_of(bits)}}}};
  const Profile got = read(json);
  EXPECT_EQ(got.name, "h16:sigmoid=measured");
  EXPECT_EQ(rule_value(got, Rule::sigmoid).name, "measured");
  EXPECT_EQ(rule_value(got, Rule::tanh_exp).name, "tables");
  const mil::Program program = mil::parse(
      "program(1.3)\n{\n  func main<ios18>(tensor<fp16, [3]> a) {\n"
      "tensor<fp16, [3]> y = sigmoid(x = a)[name = string(\"y\")];\n  } -> (y);\n}\n",
      "test.mil");
  StoredTensor a{"F16", {3}, std::vector<std::byte>(6)};
  const ane::half_t inputs[] = {0x3666, 0xC000, 0x7BFF};
  std::memcpy(a.bytes.data(), inputs, 6);
  const Tensor y = run_program(program, {}, {{"a", a}}, got, nullptr).at("y");
  const Tensor tables = run_program(program, {}, {{"a", a}}, find_profile("h16"), nullptr).at("y");
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(y.data[i], ane::to_float(bits[inputs[i]]));
  EXPECT_NE(y.data[0], tables.data[0]);
}

TEST_F(ProfileFile, AMeasuredSigmoidMustGrowAndBeComplete) {
  Json json = file_of(find_profile("h16"), "h16");
  auto bits = bits_of(exact_sigmoid);
  const auto error_with = [&](const std::string& table) {
    json["rules"]["sigmoid"] = {{"value", "measured"}, {"tables", {{"sigmoid", table}}}};
    return error_of([&] { (void)read(json); });
  };
  EXPECT_THAT(error_with(hex_of(bits).substr(4)), HasSubstr("rule sigmoid: its table is no growing one"));
  EXPECT_THAT(error_with("g" + hex_of(bits).substr(1)), HasSubstr("no growing one"));
  EXPECT_THAT(error_with(""), HasSubstr("no growing one"));
  std::swap(bits[0x3800], bits[0x3C00]);  // of 0.5 and of 1
  EXPECT_THAT(error_with(hex_of(bits)), HasSubstr("no growing one"));
  std::swap(bits[0x3800], bits[0x3C00]);
  bits[0x7BFF] = 0x7C00;
  EXPECT_THAT(error_with(hex_of(bits)), HasSubstr("no growing one"));
  Json ieee = file_of(find_profile("ieee"), "ieee");
  ieee["rules"]["sigmoid"]["value"] = "measured";
  EXPECT_THAT(error_of([&] { (void)read(ieee); }), HasSubstr("ieee has no tables"));
}

TEST_F(ProfileFile, BadFilesAreRefusedWithFileRuleAndRemedy) {
  const Json good = file_of(find_profile("h16"), "h16");
  const auto edited = [&](const std::string& pointer, const Json& value) {
    Json json = good;
    json[Json::json_pointer(pointer)] = value;
    return json.dump();
  };
  Json without_rule = good, without_rules = good;
  without_rule["rules"].erase("bias");
  without_rules.erase("rules");
  for (const auto& [text, words] :
       {std::pair{std::string("{"), "malformed JSON"}, std::pair{std::string("[]"), "is no file of `aneval probe`"},
        std::pair{edited("/kind", "other"), "is no file of `aneval probe`"},
        std::pair{edited("/schema", 2), "schema 2"},
        std::pair{edited("/base", "h99"), "base 'h99' is no built-in profile"},
        std::pair{edited("/rules/colour", "x"), "rule 'colour'"},
        std::pair{without_rule.dump(), "rule bias: has no value"}, std::pair{without_rules.dump(), "has no rules"},
        std::pair{edited("/rules/slice/value", 4094), "rule slice: 4094 is neither"},
        std::pair{edited("/rules/slice/value", "exat"), "rule slice: value of slice 'exat'"},
        std::pair{edited("/rules/bias/value", "x"), "rule bias: 'x' is no value of it"},
        std::pair{edited("/rules/overflow/value", "fp16_range"), "rule overflow: 'fp16_range' does not go with"},
        std::pair{edited("/rules/sigmoid/value", "exact"), "rule sigmoid: 'exact' does not go with"}}) {
    const std::string error = error_of([&] { (void)read_text(text); });
    EXPECT_THAT(error, HasSubstr(words));
    EXPECT_THAT(error, HasSubstr(file_.string()));
    EXPECT_EQ(error.find('\n'), std::string::npos);
  }
  std::filesystem::remove(file_);
  EXPECT_THAT(error_of([&] { (void)find_profile(file_.string()); }), HasSubstr(file_.string()));
}

}  // namespace
}  // namespace aneval::emulator
