// Every defect of the catalogue changes something, and is found where it is most visible.
#include "validate/self_test/defects.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "common/error.h"
#include "common/random.h"
#include "validate/emulated_device.h"
#include "validate/layer_check.h"
#include "validate/self_test/defective_device.h"
#include "validate/self_test/defects_host.h"
#include "validate/self_test/faulty_arithmetic.h"
#include "validate/self_test/program_edit.h"
#include "validate/self_test/visibility.h"
#include "validate/suites.h"

namespace aneval::validate {
namespace {

/// The arithmetic with the least noise: fixed-point sums hide what is flushed below 2^-14.
const emulator::Profile& profile() {
  static const emulator::Profile ieee = emulator::find_profile("ieee");
  return ieee;
}

/// The ten kernels on the first small shape, with exact and random data, prepared once for all tests.
struct Sites {
  std::unique_ptr<ane::Device> device = make_device("ieee");
  std::vector<Case> cases;
  std::vector<HealthyCase> healthy;

  static const Sites& shared() {
    static const Sites sites;
    return sites;
  }
  Sites() {
    const auto registry = ane::KernelRegistry::builtin();
    for (const ane::KernelSpec& spec : registry.all()) {
      if (spec.name == "dynMatmul") continue;
      Case c;
      c.kernel = spec.name;
      c.shape = edge_shapes().front();
      for (const double amplitude : {0.3, 1.0}) {
        c.amplitude = amplitude;
        cases.push_back(c);
      }
      c.data = DataKind::exact;
      cases.push_back(c);
      c.data = DataKind::random;
      c.variant.weights = ane::Weights::w8a8;
      const auto compiled = spec.layout(kernel_config(c)).compiled();
      if (std::ranges::any_of(compiled, [](const ane::Slot& slot) { return slot.eight_bits; })) cases.push_back(c);
    }
    for (const Case& c : cases) healthy.push_back(prepare_healthy(options_for(*device), c));
  }
};

class Catalogue : public ::testing::TestWithParam<std::string> {};

TEST_P(Catalogue, IsFoundWhereItIsMostVisible) {
  const Sites& sites = Sites::shared();
  const Defect& defect = find_defect(GetParam());
  // In exact arithmetic first; then what a device is expected to show of it.
  std::vector<std::pair<double, std::size_t>> candidates;
  for (std::size_t i = 0; i < sites.cases.size(); ++i)
    if (defect.applies(sites.healthy[i].site))
      candidates.emplace_back(visibility(sites.healthy[i], defect, profile()).ratio, i);
  ASSERT_FALSE(candidates.empty()) << "applies to no kernel";
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  const auto visible = std::find_if(candidates.begin(), candidates.end(), [&](const auto& candidate) {
    return visibility(sites.healthy[candidate.second], defect, profile(), true).visible();
  });
  ASSERT_NE(visible, candidates.end()) << "changes nothing that could be seen";
  const std::size_t where = visible->second;
  const HealthyCase& healthy = sites.healthy[where];
  const auto device = make_defective_device(*sites.device, profile(), defect, healthy.site);
  const CaseResult found = KernelChecker(options_for(*device)).run(sites.cases[where], *healthy.data);
  EXPECT_TRUE(found.status == Status::failed || found.status == Status::wrong_result ||
              found.status == Status::nonfinite || found.status == Status::unstable)
      << case_text(sites.cases[where]) << ' ' << status_name(found.status);
  if (!defect.program) return;
  // The checker that is given the wrong program needs no device to say so.
  CheckOptions wrong = options_for(*sites.device);
  ane::KernelSpec spec = healthy.site.spec;
  spec.program = [&](const ane::KernelConfig&, const ane::PackedLayout&) { return defect.program(healthy.site); };
  wrong.registry = {};
  wrong.registry.add(spec);
  EXPECT_EQ(KernelChecker(wrong).run(sites.cases[where], *healthy.data).status, Status::wrong_result);
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const Defect& defect : defect_catalogue()) all.push_back(defect.name);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Defects, Catalogue, ::testing::ValuesIn(names()), [](const auto& test) { return test.param; });

TEST(DefectCatalogue, NamesAreDistinctAndEveryMechanismIsThere) {
  std::set<std::string> seen;
  std::set<Mechanism> mechanisms = {Mechanism::host};
  for (const Defect& defect : defect_catalogue()) {
    EXPECT_TRUE(seen.insert(defect.name).second) << defect.name;
    mechanisms.insert(defect.mechanism);
  }
  for (const HostDefect& defect : host_defects()) EXPECT_TRUE(seen.insert(defect.name).second) << defect.name;
  EXPECT_GE(seen.size(), 20U);
  EXPECT_EQ(mechanisms.size(), 5U);
  EXPECT_THROW((void)find_defect("cyclic_head_mop"), Error);
}

TEST(DefectiveDevice, WithoutADefectIsHealthy) {
  const Sites& sites = Sites::shared();
  const Defect nothing{"nothing", "", Mechanism::output, [](const DefectSite&) { return true; }};
  // Computed by the faulty device itself, without a fault.
  const Defect same{"same", "", Mechanism::arithmetic, nothing.applies};
  for (const Defect* defect : {&nothing, &same}) {
    for (std::size_t i = 0; i < sites.cases.size(); ++i) {
      const auto device = make_defective_device(*sites.device, profile(), *defect, sites.healthy[i].site);
      const CaseResult healthy = KernelChecker(options_for(*sites.device)).run(sites.cases[i], *sites.healthy[i].data);
      const CaseResult result = KernelChecker(options_for(*device)).run(sites.cases[i], *sites.healthy[i].data);
      EXPECT_EQ(result.output_hash, healthy.output_hash) << sites.cases[i].kernel;
      EXPECT_EQ(visibility(sites.healthy[i], *defect, profile()).ratio, 0) << sites.cases[i].kernel;
    }
  }
}

class HostCatalogue : public ::testing::TestWithParam<std::size_t> {};

TEST_P(HostCatalogue, IsFoundInALayer) {
  const HostDefect& defect = host_defects().at(GetParam());
  const auto device = make_device("ieee");
  CheckOptions options;
  options.device = device.get();
  options.profile = emulator::find_profile("ieee");
  Case c;
  c.shape = edge_shapes().front();
  ane::CpuOps ops = ane::CpuOps::builtin();
  ops.replace(defect.op, defect.wrong);
  const LayerResult result = check_layer(options, c, random_layer_tensors(c), ops);
  EXPECT_EQ(result.status, Status::wrong_result) << result.reason;
  EXPECT_THAT(result.reason, ::testing::HasSubstr(std::string(ane::cpu_op_name(defect.op))));
}

INSTANTIATE_TEST_SUITE_P(Defects, HostCatalogue, ::testing::Range<std::size_t>(0, host_defects().size()),
                         [](const auto& test) { return host_defects().at(test.param).name; });

// What the faulty arithmetic stores is a sum of the device's own accumulator: stored to nearest, it is the device's.
TEST(DeviceSum, IsWhatTheChipsAddUp) {
  Random random(7, "device_sum");
  std::vector<float> x(37), y(37);
  for (int trial = 0; trial < 100; ++trial) {
    for (auto* values : {&x, &y})
      for (float& value : *values) value = ane::to_float(ane::to_half(random.normal()));
    const double fixed = DeviceSum(emulator::find_profile("h16"))(37, x.data(), 1, y.data(), 1);
    EXPECT_LE(std::abs(static_cast<double>(emulator::fixed_point::dot(37, x.data(), 1, y.data(), 1)) - fixed),
              ane::half_ulp(fixed) / 2);
    const double lanes = DeviceSum(emulator::find_profile("h13"))(37, x.data(), 1, y.data(), 1);
    EXPECT_EQ(emulator::four_lane::dot(37, x.data(), 1, y.data(), 1),
              emulator::four_lane::result(static_cast<float>(lanes)));
  }
}

TEST(Roundings, CutTowardsZeroAndToEightBits) {
  EXPECT_EQ(truncated_to_half(1.0 + 0x1.8p-10), 1.0 + 0x1p-10);
  EXPECT_EQ(truncated_to_half(-1.0 - 0x1.ffp-11), -1.0);
  EXPECT_EQ(truncated_to_half(-0x1.8p-24), -0x1p-24);
  EXPECT_EQ(truncated_to_half(0.0), 0.0);
  EXPECT_EQ(rounded_to_bf16(1.0 + 0x1p-9), 1.0);
  EXPECT_EQ(rounded_to_bf16(1.0 + 0x1.8p-8), 1.0 + 0x1p-7);
}

TEST(ProgramEdit, NamesWhatTheProgramDoesNotHave) {
  const ane::KernelSpec& spec = Sites::shared().healthy.front().site.spec;
  ProgramEdit edit(
      spec.program(Sites::shared().healthy.front().site.config, Sites::shared().healthy.front().site.layout));
  EXPECT_THROW(edit.set_scalar("no_such_value", 1), std::logic_error);
  EXPECT_THROW(edit.set_argument("scores", "no_such_key", "scores"), std::logic_error);
}

}  // namespace
}  // namespace aneval::validate
