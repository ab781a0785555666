// A probe must recover what it runs on: every built-in profile, every single setting, and it must say so when nothing
// known fits.
#include "validate/probe/probe.h"

#include <gmock/gmock.h>

#include <cmath>
#include <set>

#include "common/error.h"
#include "validate/emulated_device.h"
#include "validate/faulty_device.h"

namespace aneval::validate {
namespace {

using emulator::Profile;
using emulator::Rule;
using ::testing::Contains;
using ::testing::HasSubstr;

/// Findings of all rules, in order, as `aneval probe` makes them.
std::vector<RuleFinding> probe_all(ane::Device& device, const Profile& builtin) {
  std::vector<RuleFinding> findings;
  Profile known = builtin;
  for (const RuleProbe& probe : rule_probes()) {
    findings.push_back(judge(probe, ask(device, probe.questions), builtin, known));
    learn(known, findings.back());
  }
  return findings;
}

void expect_recovered(const std::string& name, const std::string& builtin_name) {
  const auto device = make_device(name);
  const Profile profile = emulator::find_profile(name), builtin = emulator::find_profile(builtin_name);
  for (const RuleFinding& finding : probe_all(*device, builtin)) {
    const std::string_view has = emulator::rule_value(profile, finding.rule).name;
    EXPECT_EQ(finding.value, has) << name << " " << emulator::rule_name(finding.rule) << ": " << finding.reason
                                  << ::testing::PrintToString(finding.readings);
    const bool agrees = has == emulator::rule_value(builtin, finding.rule).name;
    EXPECT_EQ(finding.verdict, agrees ? Verdict::agrees : Verdict::differs) << name;
    EXPECT_EQ(finding.builtin, emulator::rule_value(builtin, finding.rule).name);
  }
}

TEST(Probe, QuestionsTellEveryPairOfValuesApart) {
  ASSERT_EQ(rule_probes().size(), emulator::all_rules().size());
  for (const RuleProbe& probe : rule_probes()) {
    const auto& values = emulator::rule_values(probe.rule);
    std::set<std::vector<float>> distinct;
    for (std::size_t v = 0; v < values.size(); ++v) {
      std::vector<float> answers;
      for (const Question& question : probe.questions) {
        if (question.expected.empty()) continue;
        ASSERT_EQ(question.expected.size(), values.size()) << question.text;
        answers.push_back(std::isnan(question.expected[v]) ? -12345 : question.expected[v]);
      }
      if (answers.empty()) continue;
      EXPECT_TRUE(distinct.insert(answers).second) << emulator::rule_name(probe.rule);
    }
  }
}

TEST(Probe, RecoversEveryBuiltInProfile) {
  for (const Profile& profile : emulator::profiles()) expect_recovered(profile.name, profile.name);
}

TEST(Probe, RecoversEverySingleSetting) {
  int settings = 0;
  for (const std::string base : {"ieee", "h13", "h16"})
    for (const Rule rule : emulator::all_rules()) {
      if (!emulator::is_setting(rule)) continue;
      for (const emulator::RuleValue& value : emulator::rule_values(rule)) {
        if (base == "ieee" && rule != Rule::reduce_sum) continue;  // what only chips do
        expect_recovered(base + ":" + std::string(emulator::rule_name(rule)) + "=" + std::string(value.name), base);
        ++settings;
      }
    }
  EXPECT_EQ(settings, 3 + 10 + 10);
}

TEST(Probe, AnotherProfileDiffersInTheRulesThatDiffer) {
  const auto device = make_device("h13");
  const Profile h16 = emulator::find_profile("h16"), h13 = emulator::find_profile("h13");
  std::set<std::string_view> differ, should;
  for (const RuleFinding& finding : probe_all(*device, h16))
    if (finding.verdict == Verdict::differs) differ.insert(emulator::rule_name(finding.rule));
  for (const Rule rule : emulator::all_rules())
    if (emulator::rule_value(h13, rule).name != emulator::rule_value(h16, rule).name)
      should.insert(emulator::rule_name(rule));
  EXPECT_EQ(differ, should);
  EXPECT_EQ(differ.size(), 7U);
}

TEST(Probe, OneForeignBitIsNoKnownValue) {
  const auto device = make_device("h16");
  const Profile h16 = emulator::find_profile("h16");
  for (const RuleProbe& probe : rule_probes()) {
    Answers answers = ask(*device, probe.questions);
    answers.bits.front()[answers.bits.front().size() > 1 ? 15000 % answers.bits.front().size() : 0] = 0x1234;
    const RuleFinding finding = judge(probe, answers, h16, h16);
    EXPECT_EQ(finding.verdict, Verdict::differs) << emulator::rule_name(probe.rule);
    EXPECT_EQ(finding.value, "");  // 15000 is about 0.66: sigmoid would fall there
    EXPECT_THAT(finding.reason, HasSubstr("no known value"));
    const bool function = probe.rule == Rule::sigmoid || probe.rule == Rule::tanh_exp;
    EXPECT_EQ(finding.tables.empty(), !function);
  }
}

TEST(Probe, TheSignOfZeroCountsWhereItIsAskedFor) {
  const Profile ieee = emulator::find_profile("ieee"), h16 = emulator::find_profile("h16");
  const RuleProbe& specials = rule_probe(Rule::specials);
  Answers answers = ask(*make_device("ieee"), specials.questions);
  ASSERT_EQ(answers.bits[4].front(), 0x8000) << specials.questions[4].text;
  answers.bits[4] = {0};
  EXPECT_EQ(judge(specials, answers, ieee, ieee).value, "");
  const RuleProbe& accumulator = rule_probe(Rule::accumulator);
  answers = ask(*make_device("h16"), accumulator.questions);
  ASSERT_EQ(answers.bits[5].front(), 0) << accumulator.questions[5].text;
  answers.bits[5] = {0x8000};
  EXPECT_EQ(judge(accumulator, answers, h16, h16).value, "fixed_point");
}

TEST(Probe, QuestionsWithoutAnAnswerLeaveTheRuleUndecidedOrFailed) {
  const Profile h16 = emulator::find_profile("h16");
  const RuleProbe& probe = rule_probe(Rule::elementwise);
  Answers answers;
  answers.bits.resize(probe.questions.size());
  answers.status = Status::compile_error;
  answers.failures = {"add: refused", "sub: refused"};
  EXPECT_EQ(judge(probe, answers, h16, h16).verdict, Verdict::failed);
  answers.bits[5] = {0x7C00};  // 256 * 256, which both roundings make infinite
  const RuleFinding finding = judge(probe, answers, h16, h16);
  EXPECT_EQ(finding.verdict, Verdict::undecided);
  EXPECT_THAT(finding.reason, HasSubstr("fits nearest_even and half_away"));
  EXPECT_THAT(finding.reason, HasSubstr("add: refused"));
}

TEST(Probe, TheFingerprintKnowsAnEngineFromACpu) {
  const auto of = [](const std::string& profile) {
    const auto device = make_device(profile);
    return fingerprint(ask(*device, rule_probe(Rule::overflow).questions),
                       ask(*device, rule_probe(Rule::matmul_rounding).questions));
  };
  for (const std::string name : {"h13", "h14", "h15", "h16", "h17", "h18"}) {
    EXPECT_TRUE(of(name).engine()) << name;
    EXPECT_EQ(of(name).tie, ane::to_half(name < "h15" ? 2048.0F : 2050.0F)) << name;
  }
  EXPECT_FALSE(of("ieee").engine());
  EXPECT_FALSE(Fingerprint{}.engine());
}

TEST(Probe, EvaluationsThatDifferOrWriteNothingAreNoAnswers) {
  const RuleProbe& probe = rule_probe(Rule::matmul_rounding);
  FaultyDevice unstable(make_device("h16"), [](std::int64_t evaluation, std::span<ane::half_t> output) {
    if (evaluation == 1) output[5] = 0x1234;  // what nobody asked for counts too
  });
  const Answers differ = ask(unstable, probe.questions);
  EXPECT_EQ(differ.status, Status::unstable);
  EXPECT_TRUE(differ.bits.front().empty());
  FaultyDevice silent(make_device("h16"), nullptr, true);
  EXPECT_EQ(ask(silent, probe.questions).status, Status::wrong_result);
}

TEST(Probe, ADeviceThatRefusesAnOperationFailsItsQuestionsOnly) {
  emulator::EmulatorOptions options;
  options.compile_limit = 1;
  const auto device = emulator::make_emulator(options);
  const RuleProbe& probe = rule_probe(Rule::elementwise);  // three operations
  const Answers answers = ask(*device, probe.questions);
  EXPECT_EQ(answers.failures.size(), 2U);
  EXPECT_NE(answers.status, Status::ok);
  EXPECT_FALSE(answers.bits[0].empty());  // add
  EXPECT_TRUE(answers.bits[1].empty());   // sub
  const RuleFinding finding = judge(probe, answers, emulator::find_profile("h16"), emulator::find_profile("h16"));
  EXPECT_EQ(finding.verdict, Verdict::agrees);  // 2048 + 1 alone tells
  EXPECT_THAT(finding.reason, HasSubstr("sub: "));
}

}  // namespace
}  // namespace aneval::validate
