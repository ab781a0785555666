// Choices of form that change how a program is written and not what it computes (product, transposes): on the chips'
// accumulators, whose result does not depend on which operand stands left, every kernel gives the default's bits; and
// the judge expects the same of each. IEEE sums in fp32 come in another order: there the gates decide
// (variants_test.cpp).
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "validate/emulated_device.h"
#include "validate/kernel_check.h"
#include "validate/layer_check.h"
#include "validate/self_test/defective_device.h"
#include "validate/self_test/visibility.h"
#include "validate/suites.h"

namespace aneval::validate {
namespace {

/// Everything else that such a choice meets: what the layout and the compiled weights look like.
constexpr const char* kAround[] = {"",
                                   ";pad=32",
                                   ";weights=static",
                                   ";weights=static;pad=32",
                                   ";packing=weights_first",
                                   ";head_map=cyclic;score_scale=folded;row_sum=matmul"};
constexpr const char* kForms[] = {"product=conv", "transposes=flags", "product=conv;transposes=flags"};

ane::Variant variant_of(const std::string& text) {
  return ane::parse_variant(text.starts_with(';') ? text.substr(1) : text);
}

Case case_of(const ane::KernelSpec& spec, const ModelShape& shape, const std::string& variant) {
  Case c;
  c.kernel = spec.name;
  c.shape = shape;
  c.variant = variant_of(variant);
  if (spec.name == "dynMatmul") c.ic = shape.dim, c.oc = shape.hidden;
  return c;
}

void expect_equal_bits(KernelChecker& checker, const ane::KernelSpec& spec, const ModelShape& shape,
                       const std::string& around) {
  const CaseResult expected = checker.run(case_of(spec, shape, around));
  for (const char* form : kForms) {
    const Case c = case_of(spec, shape, form + around);
    const CaseResult result = checker.run(c);
    SCOPED_TRACE(case_text(c));
    EXPECT_EQ(result.status, expected.status) << result.reason;
    EXPECT_EQ(result.output_hash, expected.output_hash);
    const bool no_weights = std::ranges::none_of(spec.layout(kernel_config(c)).operands(), [](const ane::Slot& slot) {
      return slot.kind == ane::SlotKind::weight;
    });
    const bool same_program = no_weights && c.variant.transposes == ane::Transposes::ops;
    EXPECT_EQ(result.program_hash == expected.program_hash, same_program);
  }
}

class Forms : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Chips, Forms, ::testing::Values("h13", "h16"));

TEST_P(Forms, GiveTheBitsOfTheDefault) {
  const auto device = make_device(GetParam());
  KernelChecker checker(options_for(*device));
  const auto registry = ane::KernelRegistry::builtin();
  for (const ane::KernelSpec& spec : registry.all()) {
    for (const char* around : kAround) expect_equal_bits(checker, spec, edge_shapes().at(3), around);
    expect_equal_bits(checker, spec, edge_shapes().at(5), kAround[3]);  // halves of odd width, padded
  }
}

class LayerForms : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Chips, LayerForms, ::testing::Values("h13", "h14", "h15", "h16", "h17", "h18"));

TEST_P(LayerForms, GiveTheBitsOfTheDefaultInEveryCut) {
  const auto device = make_device(GetParam());
  for (const char* cut : {"", ";qkv_backward=merged;silu_backward=kernel;wo=fused", ";ffn=split;pad=32"}) {
    Case c;
    c.shape = edge_shapes().at(3);
    c.variant = variant_of(cut);
    const NamedTensors tensors = random_layer_tensors(c);
    const std::string expected = layer_hash(run_layer_on_device(options_for(*device), c, tensors));
    for (const char* form : kForms) {
      c.variant = variant_of(std::string(form) + cut);
      EXPECT_EQ(layer_hash(run_layer_on_device(options_for(*device), c, tensors)), expected) << form << cut;
    }
  }
}

class FormShadows : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Profiles, FormShadows, ::testing::Values("ieee", "h13", "h16"));

TEST_P(FormShadows, ExpectTheSameErrors) {
  const auto device = make_device(GetParam());
  CheckOptions options = options_for(*device);
  options.keep_shadows = true;
  KernelChecker checker(options);
  const auto registry = ane::KernelRegistry::builtin();
  for (const ane::KernelSpec& spec : registry.all()) {
    const CaseResult expected = checker.run(case_of(spec, edge_shapes().at(3), ""));
    for (const char* form : kForms) {
      const CaseResult result = checker.run(case_of(spec, edge_shapes().at(3), form));
      SCOPED_TRACE(case_text(result.c));
      ASSERT_EQ(result.blocks.size(), expected.blocks.size());
      for (std::size_t block = 0; block < result.blocks.size(); ++block) {
        const auto &got = result.blocks[block].shadows, &wanted = expected.blocks[block].shadows;
        ASSERT_EQ(got.size(), wanted.size());
        for (std::size_t i = 0; i < got.size() && !HasFailure(); ++i) {
          // Sums of floats, in another order, of thousands of terms at most.
          const double scale = 1e-3 * (wanted[i].bound + 1e-12);
          EXPECT_NEAR(got[i].value, wanted[i].value, 1e-9 * (1 + std::abs(wanted[i].value)));
          EXPECT_NEAR(got[i].bound, wanted[i].bound, scale) << expected.blocks[block].block << ' ' << i;
          EXPECT_NEAR(got[i].bias, wanted[i].bias, scale) << expected.blocks[block].block << ' ' << i;
          EXPECT_NEAR(got[i].sigma(), wanted[i].sigma(), scale) << expected.blocks[block].block << ' ' << i;
        }
      }
    }
  }
}

/// What the judge says of the case when the defect is committed: by the device, or in the program that it is given.
Status judged(ane::Device& device, const Defect& defect, const HealthyCase& healthy, const Case& c) {
  CheckOptions options = options_for(device);
  if (!defect.program) {
    const auto defective = make_defective_device(device, options.profile, defect, healthy.site);
    options.device = defective.get();
    return KernelChecker(options).run(c, *healthy.data).status;
  }
  ane::KernelSpec spec = healthy.site.spec;
  spec.program = [&](const ane::KernelConfig&, const ane::PackedLayout&) { return defect.program(healthy.site); };
  options.registry = {};
  options.registry.add(spec);
  return KernelChecker(options).run(c, *healthy.data).status;
}

// What is visible in the default is there in every form, as visible, and found.
TEST(FormDefects, AreFoundInEveryForm) {
  const auto device = make_device("ieee");
  const emulator::Profile profile = emulator::find_profile("ieee");
  const auto registry = ane::KernelRegistry::builtin();
  std::set<std::string> seen;
  for (const ane::KernelSpec& spec : registry.all()) {
    const HealthyCase healthy = prepare_healthy(options_for(*device), case_of(spec, edge_shapes().front(), ""));
    for (const char* form : kForms) {
      const Case c = case_of(spec, edge_shapes().front(), form);
      const HealthyCase other = prepare_healthy(options_for(*device), c);
      for (const Defect& defect : defect_catalogue()) {
        const bool of_programs = defect.mechanism == Mechanism::program;
        if (!of_programs && defect.mechanism != Mechanism::arithmetic) continue;
        if (!defect.applies(healthy.site) || !defect.applies(other.site)) continue;
        if (visibility(healthy, defect, profile).ratio < 2) continue;
        SCOPED_TRACE(defect.name + " in " + case_text(c));
        EXPECT_GE(visibility(other, defect, profile).ratio, 1);
        const Status status = judged(*device, defect, other, c);
        EXPECT_TRUE(status == Status::failed || status == Status::wrong_result || status == Status::nonfinite)
            << status_name(status);
        seen.insert(form + (" " + defect.name));
      }
    }
  }
  for (const char* form : kForms)
    for (const char* defect : {"product_not_transposed", "keys_not_rotated", "second_term_missing", "silu_is_sigmoid",
                               "softmax_over_queries", "fp16_accumulation", "bf16_store"})
      EXPECT_TRUE(seen.contains(std::string(form) + " " + defect)) << form << ' ' << defect;
}

}  // namespace
}  // namespace aneval::validate
