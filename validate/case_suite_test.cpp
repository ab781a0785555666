// The families of cases as tests: one test per profile and case, named by the case's text.
//
//   validate_test --gtest_filter='Structured/*sdpaBwd2*'      what of it runs
//   validate_test --gtest_list_tests                          every case with its exact text
//
// Small shapes, for every commit; `aneval validate --full` runs the same kinds of data on the presets' shapes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <ostream>

#include "ane/emulator/emulator.h"
#include "ane/layer_plan.h"
#include "reference/llama2c.h"
#include "validate/kernel_check.h"
#include "validate/real_data.h"
#include "validate/suites.h"

namespace aneval::validate {

struct ProfiledCase {
  std::string profile;
  Case c;
};

/// What the test runner shows as the parameter.
void PrintTo(const ProfiledCase& p, std::ostream* out) { *out << p.profile << ' ' << case_text(p.c); }

namespace {

std::string test_name(const ::testing::TestParamInfo<ProfiledCase>& info) {
  std::string name = info.param.profile + "_" + case_text(info.param.c);
  std::replace_if(name.begin(), name.end(), [](unsigned char ch) { return std::isalnum(ch) == 0; }, '_');
  return name;
}

/// Numbers around 1 lose nothing worth a word on any profile; other sizes, structure and a model's numbers may lose
/// much within their bounds.
bool may_degrade(const Case& c) {
  return c.amplitude != 1 || c.gradient < 1 || is_structured(c.data) || from_model(c.data);
}

void expect_passed(const CaseResult& result) {
  const bool passed = result.status == Status::ok || (result.status == Status::degraded && may_degrade(result.c));
  EXPECT_TRUE(passed) << status_name(result.status) << ": " << result.reason;
  EXPECT_FALSE(result.blocks.empty());
  for (const BlockJudgement& block : result.blocks)
    EXPECT_TRUE(block.straddling_elements == 0 || may_degrade(result.c)) << block.block << " may overflow";
}

class KernelCase : public ::testing::TestWithParam<ProfiledCase> {
 protected:
  /// On a device of the profile, judged as that profile.
  CaseResult run(const CaseData* data = nullptr) {
    emulator::EmulatorOptions emulator;
    emulator.profile = GetParam().profile;
    const auto device = emulator::make_emulator(emulator);
    CheckOptions options;
    options.device = device.get();
    options.profile = emulator::find_profile(GetParam().profile);
    KernelChecker checker(options);
    return data == nullptr ? checker.run(GetParam().c) : checker.run(GetParam().c, *data);
  }
};

TEST_P(KernelCase, Passes) { expect_passed(run()); }

/// Those that compute differently; the arithmetic of h14 is that of h13, the others' that of h16.
const std::vector<std::string>& distinct_arithmetics() {
  static const std::vector<std::string> names = {"ieee", "h13", "h16"};
  return names;
}

std::vector<std::string> all_profiles() {
  std::vector<std::string> names;
  for (const emulator::Profile& profile : emulator::profiles()) names.push_back(profile.name);
  return names;
}

std::vector<ProfiledCase> on_profiles(const std::vector<std::string>& profiles, const std::vector<Case>& cases) {
  std::vector<ProfiledCase> all;
  for (const std::string& profile : profiles)
    for (const Case& c : cases) all.push_back({profile, c});
  return all;
}

/// What `aneval validate --full` runs a shape through, on one that takes milliseconds: grouped heads, a head dimension
/// whose root is a power of two, so that exact data stay exact in sdpaBwd2 as well, and more tokens than one tile.
template <class Predicate>
std::vector<Case> small_cases(const Predicate& wanted) {
  SuiteOptions options;
  options.extent = Extent::full;
  ModelShape& shape = options.shape;
  shape.name = "small";
  shape.dim = 72;
  shape.hidden = 104;
  shape.heads = 4;
  shape.kv_heads = 2;
  shape.head_dim = 16;
  shape.seq = 48;
  shape.layers = 2;
  shape.vocab = 64;
  std::vector<Case> cases;
  for (const Case& c : shape_cases(ane::KernelRegistry::builtin(), options))
    if (wanted(c)) cases.push_back(c);
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Exact, KernelCase,
                         ::testing::ValuesIn(on_profiles(all_profiles(), small_cases([](const Case& c) {
                                                           return c.data == DataKind::exact;
                                                         }))),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Random, KernelCase,
                         ::testing::ValuesIn(on_profiles(all_profiles(), small_cases([](const Case& c) {
                                                           return c.data == DataKind::random;
                                                         }))),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Structured, KernelCase,
                         ::testing::ValuesIn(on_profiles(all_profiles(), small_cases([](const Case& c) {
                                                           return is_structured(c.data);
                                                         }))),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Edge, KernelCase,
                         ::testing::ValuesIn(on_profiles(distinct_arithmetics(),
                                                         edge_cases(ane::KernelRegistry::builtin(), SuiteOptions{}))),
                         test_name);

constexpr const char* kText = "Once upon a time, there was a little girl named Lily. She loved to play outside.";

/// The model's shape is known without its file, so that every test has its name on every machine.
std::vector<Case> real_cases() {
  Case c;
  c.data = DataKind::real;
  c.variant.pad = ane::Pad::multiple_of_32;  // its feed-forward width is 172
  c.shape.name = "stories260K";
  c.shape.dim = 64;
  c.shape.hidden = 172;
  c.shape.heads = 8;
  c.shape.kv_heads = 4;
  c.shape.head_dim = 8;
  c.shape.layers = 5;
  c.shape.vocab = 512;
  c.shape.seq = 27;  // tokens of kText
  std::vector<Case> cases;
  for (std::int64_t layer = 0; layer < c.shape.layers; ++layer) {
    c.layer = layer;
    for (const std::string& kernel : ane::layer_plan(c.variant).kernels()) {
      c.kernel = kernel;
      cases.push_back(c);
    }
  }
  return cases;
}

/// What the trained model puts onto every surface, there and back.
struct RealModel {
  ModelShape shape;
  reference::ModelTrace trace;
};

RealModel read_real_model(const std::filesystem::path& folder) {
  const reference::Model model = reference::read_llama2c(folder / "stories260K.bin");
  const auto tokens = reference::Tokenizer::read(folder / "tok512.bin", model.shape.vocab).encode(kText);
  RealModel real{model.shape, reference::trace_model(model, tokens)};
  real.shape.seq = static_cast<std::int64_t>(tokens.size());
  return real;
}

class RealCase : public KernelCase {};

TEST_P(RealCase, Passes) {
  const char* folder = std::getenv("ANEVAL_DATA");
  if (folder == nullptr || !std::filesystem::exists(std::filesystem::path(folder) / "stories260K.bin"))
    GTEST_SKIP() << "ANEVAL_DATA names no folder with stories260K.bin and tok512.bin";
  static const RealModel model = read_real_model(folder);
  const Case& c = GetParam().c;
  ASSERT_EQ(c.shape, model.shape) << "the checkpoint is not the one that the cases are named after";
  const CaseData data = real_case_data(c, ane::KernelRegistry::builtin().find(c.kernel).layout(kernel_config(c)),
                                       model.trace.layers.at(static_cast<std::size_t>(c.layer.value())));
  expect_passed(run(&data));
}

INSTANTIATE_TEST_SUITE_P(Real, RealCase, ::testing::ValuesIn(on_profiles(all_profiles(), real_cases())), test_name);

}  // namespace
}  // namespace aneval::validate
