// The gate itself: what passes, what fails, and that a NaN or a missing bound never passes.
#include "validate/judge.h"

#include <gmock/gmock.h>

#include <limits>

namespace aneval::validate {
namespace {

using ::testing::HasSubstr;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

Comparison device(float got, double reference, Shadow shadow) {
  return compare_device(std::span(&got, 1), std::span(&reference, 1), std::span(&shadow, 1), 1);
}

TEST(DeviceGate, HoldsUpToTheBoundAndNotBeyond) {
  EXPECT_TRUE(device(1.5F, 1.0, {.value = 1.0, .bound = 0.5}).holds);
  EXPECT_FALSE(device(1.501F, 1.0, {.value = 1.0, .bound = 0.5}).holds);
  EXPECT_FALSE(device(0.499F, 1.0, {.value = 1.0, .bound = 0.5}).holds);
}

TEST(DeviceGate, WhereNothingCanRoundTheValuesMustBeEqual) {
  EXPECT_TRUE(device(3.0F, 3.0, {.value = 3.0, .bound = 0}).holds);
  EXPECT_FALSE(device(3.0F, 3.0000001, {.value = 3.0, .bound = 0}).holds);
  EXPECT_EQ(device(3.0F, 3.0000001, {.value = 3.0, .bound = 0}).worst.ratio, std::numeric_limits<double>::infinity());
}

TEST(DeviceGate, NanNeverPasses) {
  EXPECT_FALSE(device(kNan, 1.0, {.value = 1.0, .bound = 10}).holds);
  EXPECT_FALSE(device(kNan, 1.0, {.value = 1.0, .bound = 10, .plus_infinity = true}).holds);
  EXPECT_FALSE(device(1.0F, static_cast<double>(kNan), {.value = 1.0, .bound = 10}).holds);
  EXPECT_FALSE(device(1.0F, 1.0, {.value = 1.0, .bound = static_cast<double>(kNan)}).holds);
}

TEST(DeviceGate, AnElementThatMayOverflowPassesAsInfinityOfItsSignOnly) {
  const Shadow high{.value = 65500, .bound = 32, .plus_infinity = true};
  EXPECT_TRUE(device(kInf, 65500, high).holds);
  EXPECT_TRUE(device(65504.0F, 65500, high).holds);
  EXPECT_FALSE(device(-kInf, 65500, high).holds);
  EXPECT_FALSE(device(1.0F, 65500, high).holds);
  EXPECT_FALSE(device(kInf, 65500, {.value = 65500, .bound = 32}).holds);
}

TEST(DeviceGate, WhereTheDeviceMustOverflowAFiniteValueIsWrong) {
  const Shadow sure{.value = 40000, .bound = 7232, .plus_infinity = true, .finite = false};
  EXPECT_TRUE(device(kInf, 40000, sure).holds);
  EXPECT_FALSE(device(-kInf, 40000, sure).holds);
  EXPECT_FALSE(device(40000.0F, 40000, sure).holds);
  EXPECT_FALSE(
      device(-40000.0F, -40000, {.value = -40000, .bound = 7232, .minus_infinity = true, .finite = false}).holds);
}

TEST(DeviceGate, ABoundThatIsInfiniteLetsNoInfinityPass) {
  EXPECT_FALSE(device(kInf, 1.0, {1.0, std::numeric_limits<double>::infinity()}).holds);
}

TEST(DeviceGate, TheWorstElementIsNamedByChannelAndToken) {
  const std::vector<float> got = {0, 0, 0, 0.5F, 0, 0};
  const std::vector<double> reference(6, 0.0);
  const std::vector<Shadow> shadow(6, Shadow{.value = 0, .bound = 0.1});
  const Comparison c = compare_device(got, reference, shadow, 3);
  EXPECT_EQ(c.worst.channel, 1);
  EXPECT_EQ(c.worst.token, 0);
  EXPECT_EQ(c.violations, 1);
}

TEST(ProgramCheck, AllowsTheRoundingOfDoubleAndNothingElse) {
  const std::vector<double> reference = {1.0, 1e-9};
  EXPECT_TRUE(compare_program(std::vector<Shadow>{{.value = 1.0 + 1e-13, .bound = 0}, {.value = 1e-9, .bound = 0}},
                              reference, 2)
                  .holds);
  EXPECT_FALSE(compare_program(std::vector<Shadow>{{.value = 1.0 + 1e-11, .bound = 0}, {.value = 1e-9, .bound = 0}},
                               reference, 2)
                   .holds);
}

BlockJudgement judgement(bool program, bool device_holds) {
  BlockJudgement j;
  j.block = "o";
  j.channels = 10;
  j.tokens = 10;
  j.program.holds = program;
  j.device.holds = device_holds;
  conclude(j);
  return j;
}

TEST(Conclusion, AWrongProgramComesBeforeAWrongDevice) {
  EXPECT_EQ(judgement(true, true).status, Status::ok);
  EXPECT_EQ(judgement(true, false).status, Status::failed);
  EXPECT_EQ(judgement(false, false).status, Status::wrong_result);
  EXPECT_THAT(judgement(false, false).reason, HasSubstr("program"));
}

TEST(Conclusion, AReferenceThatIsOffByMoreThanATenthOfTheSpreadIsNone) {
  BlockJudgement j = judgement(true, true);
  j.reference_error = 0.1;
  conclude(j);
  EXPECT_EQ(j.status, Status::ok);
  for (const double error : {0.11, static_cast<double>(kNan)}) {
    j = judgement(true, true);
    j.reference_error = error;
    conclude(j);
    EXPECT_EQ(j.status, Status::wrong_result);
    EXPECT_EQ(j.gate, Gate::program);
    EXPECT_THAT(j.reason, HasSubstr("the fp32 reference is off by"));
  }
}

TEST(Conclusion, ErrorsThatAreSpreadTooWideFailAndDeviationsComeFirst) {
  BlockJudgement j = judgement(true, true);
  j.spread.rms = 1.4;
  j.spread.rms_limit = 1.3;
  conclude(j);
  EXPECT_EQ(j.status, Status::failed);
  EXPECT_EQ(j.gate, Gate::spread);
  EXPECT_THAT(j.reason, HasSubstr("spread wider than expected: R 1.4, limit 1.3"));
  j.spread.violations = 1;
  j.all_zero = true;
  conclude(j);
  EXPECT_EQ(j.gate, Gate::deviation);
  EXPECT_THAT(j.reason, HasSubstr("every output is zero: 1 elements deviate"));
}

TEST(Conclusion, ErrorsToBeExpectedOfATenthOfTheResultAreDegradedThoughThisDeviceWasSpared) {
  BlockJudgement j = judgement(true, true);
  j.spread.reference_rms = 2;
  j.spread.predicted_error = 0.2;
  j.spread.vanishing = 1;
  conclude(j);
  EXPECT_EQ(j.status, Status::ok);
  j.spread.predicted_error = 0.3;
  conclude(j);
  EXPECT_EQ(j.status, Status::degraded);
  EXPECT_THAT(j.reason, HasSubstr("15 % of the reference's rms, and 1 of 100 elements vanish"));
  j = judgement(true, true);
  j.spread.vanishing = 2;
  conclude(j);
  EXPECT_EQ(j.status, Status::degraded);
  EXPECT_THAT(j.reason, HasSubstr("2 of 100 elements vanish"));
}

TEST(Conclusion, MoreThanOnePercentThatMayOverflowIsDegraded) {
  BlockJudgement j = judgement(true, true);
  j.straddling_elements = 1;
  conclude(j);
  EXPECT_EQ(j.status, Status::ok);
  j.straddling_elements = 2;
  conclude(j);
  EXPECT_EQ(j.status, Status::degraded);
  EXPECT_FALSE(j.reason.empty());
}

}  // namespace
}  // namespace aneval::validate
