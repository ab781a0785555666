// Every trial is a program that computes what it says, and a device's refusals and wrong data are told apart.
#include "validate/probe/capabilities.h"

#include <gmock/gmock.h>

#include <set>

#include "common/error.h"
#include "validate/emulated_device.h"
#include "validate/faulty_device.h"

namespace aneval::validate {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

TEST(Capabilities, AllRunAndComputeWhatTheySayInIeeeArithmetic) {
  const auto device = make_device("ieee");
  std::set<std::string> names;
  for (const Capability& capability : capabilities()) {
    EXPECT_TRUE(names.insert(capability.name()).second) << capability.name();
    EXPECT_EQ(&find_capability(capability.name()), &capability);
    const CapabilityResult result = try_capability(*device, capability);
    EXPECT_EQ(result.status, Status::ok) << capability.name() << ": " << result.reason;
    EXPECT_TRUE(result.checks.empty()) << "ieee is no family";
  }
  EXPECT_THROW((void)find_capability("conv channel 64"), Error);
}

TEST(Capabilities, WhatTheFamilyIsKnownToRefuseIsSaid) {
  const auto checks = [](const std::string& profile, const std::string& name) {
    return try_capability(*make_device(profile), find_capability(name)).checks;
  };
  EXPECT_THAT(checks("h13", "dialect modern"), Contains("dialect"));
  EXPECT_TRUE(checks("h13", "dialect legacy").empty());
  EXPECT_TRUE(checks("h16", "dialect modern").empty());
  EXPECT_THAT(checks("h16", "input width 513"), Contains("input-width"));
  EXPECT_TRUE(checks("h16", "input width 512").empty());
  EXPECT_THAT(checks("h14", "matmul contraction 16416"), Contains("contraction-cap"));
  EXPECT_TRUE(checks("h16", "matmul contraction 16416").empty());
}

TEST(Capabilities, AnOperationWithoutARuleIsACompileError) {
  const CapabilityResult result = try_capability(*make_device("h16"), find_capability("operation rsqrt"));
  EXPECT_EQ(result.status, Status::compile_error);
  EXPECT_THAT(result.reason, HasSubstr("has no rule for rsqrt"));
}

TEST(Capabilities, WrongAndMissingDataAreNotTakenForSuccess) {
  const Capability& capability = find_capability("matmul contraction 64");
  FaultyDevice wrong(make_device(),
                     [](std::int64_t, std::span<ane::half_t> output) { output[7] = ane::to_half(2.0F); });
  EXPECT_EQ(try_capability(wrong, capability).status, Status::wrong_result);
  EXPECT_THAT(try_capability(wrong, capability).reason, HasSubstr("gives 2 instead of 1"));
  FaultyDevice infinite(make_device(), [](std::int64_t, std::span<ane::half_t> output) { output[7] = 0x7C00; });
  EXPECT_EQ(try_capability(infinite, capability).status, Status::nonfinite);
  FaultyDevice silent(make_device(), nullptr, true);
  EXPECT_EQ(try_capability(silent, capability).status, Status::wrong_result);
}

}  // namespace
}  // namespace aneval::validate
