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
  EXPECT_TRUE(device(1.5F, 1.0, {1.0, 0.5, false}).holds);
  EXPECT_FALSE(device(1.501F, 1.0, {1.0, 0.5, false}).holds);
  EXPECT_FALSE(device(0.499F, 1.0, {1.0, 0.5, false}).holds);
}

TEST(DeviceGate, WhereNothingCanRoundTheValuesMustBeEqual) {
  EXPECT_TRUE(device(3.0F, 3.0, {3.0, 0, false}).holds);
  EXPECT_FALSE(device(3.0F, 3.0000001, {3.0, 0, false}).holds);
  EXPECT_EQ(device(3.0F, 3.0000001, {3.0, 0, false}).worst.ratio, std::numeric_limits<double>::infinity());
}

TEST(DeviceGate, NanNeverPasses) {
  EXPECT_FALSE(device(kNan, 1.0, {1.0, 10, false}).holds);
  EXPECT_FALSE(device(kNan, 1.0, {1.0, 10, true}).holds);
  EXPECT_FALSE(device(1.0F, static_cast<double>(kNan), {1.0, 10, false}).holds);
  EXPECT_FALSE(device(1.0F, 1.0, {1.0, static_cast<double>(kNan), false}).holds);
}

TEST(DeviceGate, AnElementThatMayOverflowPassesAsInfinityOfItsSignOnly) {
  const Shadow high{65500, 32, true};
  EXPECT_TRUE(device(kInf, 65500, high).holds);
  EXPECT_TRUE(device(65504.0F, 65500, high).holds);
  EXPECT_FALSE(device(-kInf, 65500, high).holds);
  EXPECT_FALSE(device(1.0F, 65500, high).holds);
  EXPECT_FALSE(device(kInf, 65500, {65500, 32, false}).holds);
}

TEST(DeviceGate, WhereTheDeviceMustOverflowAFiniteValueIsWrong) {
  const Shadow sure{40000, 7232, true, false, false};
  EXPECT_TRUE(device(kInf, 40000, sure).holds);
  EXPECT_FALSE(device(-kInf, 40000, sure).holds);
  EXPECT_FALSE(device(40000.0F, 40000, sure).holds);
  EXPECT_FALSE(device(-40000.0F, -40000, {-40000, 7232, false, true, false}).holds);
}

TEST(DeviceGate, ABoundThatIsInfiniteLetsNoInfinityPass) {
  EXPECT_FALSE(device(kInf, 1.0, {1.0, std::numeric_limits<double>::infinity()}).holds);
}

TEST(DeviceGate, TheWorstElementIsNamedByChannelAndToken) {
  const std::vector<float> got = {0, 0, 0, 0.5F, 0, 0};
  const std::vector<double> reference(6, 0.0);
  const std::vector<Shadow> shadow(6, Shadow{0, 0.1, false});
  const Comparison c = compare_device(got, reference, shadow, 3);
  EXPECT_EQ(c.worst.channel, 1);
  EXPECT_EQ(c.worst.token, 0);
  EXPECT_EQ(c.violations, 1);
}

TEST(ProgramCheck, AllowsTheRoundingOfDoubleAndNothingElse) {
  const std::vector<double> reference = {1.0, 1e-9};
  EXPECT_TRUE(compare_program(std::vector<Shadow>{{1.0 + 1e-13, 0, false}, {1e-9, 0, false}}, reference, 2).holds);
  EXPECT_FALSE(compare_program(std::vector<Shadow>{{1.0 + 1e-11, 0, false}, {1e-9, 0, false}}, reference, 2).holds);
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
