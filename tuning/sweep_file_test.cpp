// Descriptions of sweeps: products, ranges, constraints; and every kind of mistake with the words that name it.
#include "tuning/sweep_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"

namespace aneval::tuning {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string error_of(const std::string& json) {
  try {
    (void)parse_sweep(json, "sweep.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::bad_input);
    return error.what();
  }
  return "accepted";
}

std::string with(const std::string& parameters, const std::string& more = "") {
  return R"({"parameters": {"kernel": ["woFwd"], "model": "Qwen3-0.6B")" +
         (parameters.empty() ? "" : ", " + parameters) + "}" + (more.empty() ? "" : ", " + more) + "}";
}

TEST(SweepFile, IsAProductInTheOrderOfTheParameters) {
  // seq comes first in the file, and is set after the model all the same.
  const SweepFile file = parse_sweep(
      R"({"name": "n", "parameters": {"seq": {"from": 64, "to": 256, "factor": 2}, "model": "Qwen3-0.6B",
          "kernel": ["woFwd", "sdpaFwd"], "pad": "all", "threads": [1, 2]}})",
      "sweep.json");
  EXPECT_EQ(file.product(), 3 * 2 * 2 * 2);
  EXPECT_EQ(file.point(0).c.kernel, "woFwd");
  EXPECT_EQ(file.point(0).c.shape.seq, 64);
  EXPECT_EQ(file.point(0).threads, 1);
  EXPECT_EQ(file.point(1).threads, 2);
  EXPECT_EQ(file.point(2).c.variant.pad, ane::Pad::multiple_of_32);
  EXPECT_EQ(file.point(4).c.shape.seq, 128);
  EXPECT_EQ(file.point(23).c.kernel, "sdpaFwd");
  EXPECT_EQ(file.point(23).c.shape.seq, 256);
  EXPECT_EQ(file.point(23).c.shape.hidden, 3072);
  EXPECT_THAT(file.phases, ElementsAre("write_acts", "eval", "read"));
}

TEST(SweepFile, RangesEndWhereTheySay) {
  const auto values = [](const std::string& range) {
    return parse_sweep(with("\"seq\": " + range), "sweep.json").axes.at(2).values;
  };
  EXPECT_THAT(values(R"({"from": 64, "to": 256, "step": 64})"), ElementsAre("64", "128", "192", "256"));
  EXPECT_THAT(values(R"({"from": 64, "to": 255, "step": 64})"), ElementsAre("64", "128", "192"));
  EXPECT_THAT(values(R"({"from": 32, "to": 300, "factor": 3})"), ElementsAre("32", "96", "288"));
  EXPECT_THAT(values(R"({"from": 64, "to": 64, "step": 1})"), ElementsAre("64"));
  // The next value of each is beyond 64 bits. (No model is that long: threads would refuse it as well.)
  for (const char* range : {R"({"from": 1, "to": 9223372036854775807, "step": 4611686018427387904})",
                            R"({"from": 1, "to": 9223372036854775807, "factor": 4294967296})"}) {
    try {
      (void)values(range);
      ADD_FAILURE() << range;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("is not from 1 to 1048576")) << range;
    }
  }
}

TEST(SweepFile, ConstraintsAreImplications) {
  const SweepFile file =
      parse_sweep(with(R"("seq": [64, 70, 96], "pad": "all")",
                       R"("constraints": [{"when": {"pad": "none"}, "then": {"seq": {"multiple_of": 32}}},
                              {"then": {"seq": {"not": {"min": 90}}}}])"),
                  "sweep.json");
  std::vector<std::string> allowed;
  for (std::int64_t i = 0; i < file.product(); ++i) {
    const Point point = file.point(i);
    bool all = true;
    for (const Constraint& constraint : file.constraints) all = all && constraint.allows(point);
    if (all) allowed.push_back(std::to_string(point.c.shape.seq) + " " + knobs_text(point));
  }
  EXPECT_THAT(allowed, ElementsAre("64 default", "64 pad=32", "70 pad=32"));
}

TEST(SweepFile, MistakesAreNamed) {
  EXPECT_THAT(error_of("{"), AllOf(HasSubstr("sweep.json"), HasSubstr("malformed JSON")));
  EXPECT_THAT(error_of(R"({"paramters": {}})"), AllOf(HasSubstr("paramters"), HasSubstr("parameters")));
  EXPECT_THAT(error_of("{}"), HasSubstr("parameters: there is none"));
  EXPECT_THAT(error_of(R"({"parameters": {"kernel": "woFwd"}})"), HasSubstr("has no model"));
  EXPECT_THAT(error_of(with(R"("packin": "all")")), AllOf(HasSubstr("packin"), HasSubstr("packing")));
  EXPECT_THAT(error_of(with(R"("packing": ["acts_frist"])")), AllOf(HasSubstr("acts_frist"), HasSubstr("acts_first")));
  EXPECT_THAT(error_of(with(R"("packing": [])")), HasSubstr("parameters.packing: is empty"));
  EXPECT_THAT(error_of(with(R"("seq": [64, "64"])")), HasSubstr("has 64 twice"));
  EXPECT_THAT(error_of(with(R"("seq": "all")")), HasSubstr("any value"));
  EXPECT_THAT(error_of(with(R"("seq": {"from": 64, "to": 32, "step": 1})")), HasSubstr("ends before it begins"));
  EXPECT_THAT(error_of(with(R"("seq": {"from": 64, "to": 128})")), HasSubstr("either step or factor"));
  EXPECT_THAT(error_of(with(R"("seq": {"from": 1, "to": 9223372036854775807, "factor": 1})")), HasSubstr("factor"));
  EXPECT_THAT(error_of(with(R"("seq": {"from": 1, "to": 100000, "step": 1})")), HasSubstr("more than 4096"));
  EXPECT_THAT(error_of(with(R"("seq": [0])")), HasSubstr("seq"));
  for (const char* scale : {"0", "-1", "\"nan\"", "1e40"})
    EXPECT_THAT(error_of(with(std::string("\"loss_scale\": ") + scale)), HasSubstr("is no positive number")) << scale;
  for (const char* qos : {"-1", "64"})
    EXPECT_THAT(error_of(with(std::string("\"qos\": ") + qos)), HasSubstr("is not from 0 to 63")) << qos;
  EXPECT_THAT(error_of(with(R"("profile": ["h31"])")), AllOf(HasSubstr("h31"), HasSubstr("h13")));
  EXPECT_THAT(error_of(with("", R"("budget": {"points": 0})")), HasSubstr("budget.points: 0"));
  EXPECT_THAT(error_of(with("", R"("budget": {"seconds": 0})")), HasSubstr("budget.seconds: 0"));
  EXPECT_THAT(error_of(with("", R"("search": {"method": "randon"})")), HasSubstr("random"));
  EXPECT_THAT(error_of(with("", R"("measure": {"phases": ["evla"]})")), AllOf(HasSubstr("evla"), HasSubstr("eval")));
  EXPECT_THAT(error_of(with("", R"("constraints": [{"then": {"pad": "32"}}])")),
              HasSubstr("no parameter of this sweep"));
  std::string many = R"({"then": {"pad": "32"}})";
  for (int i = 0; i < 256; ++i) many += R"(, {"then": {"pad": "32"}})";
  EXPECT_THAT(error_of(with(R"("pad": "all")", R"("constraints": [)" + many + "]")),
              HasSubstr("more than 256 entries"));
  EXPECT_THAT(error_of(with(R"("pad": ["none"])", R"("constraints": [{"then": {"pad": "32"}}])")),
              HasSubstr("no value of pad can pass it"));
  EXPECT_THAT(error_of(with(R"("pad": "all")", R"("constraints": [{"then": {"pad": {"min": 3}}}])")),
              HasSubstr("is no number"));
}

}  // namespace
}  // namespace aneval::tuning
