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

#include "ane/emulator/device_arithmetic.h"
#include "ane/emulator/emulator.h"
#include "ane/layer_plan.h"
#include "reference/llama2c.h"
#include "validate/kernel_check.h"
#include "validate/real_data.h"
#include "validate/suites.h"
#include "validate/weights/load_weights.h"

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
    for (const Case& c : cases)
      if (emulator::has_rules(emulator::find_profile(profile), c.variant)) all.push_back({profile, c});
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

/// Every kernel of every layer on what a trained model puts onto its surfaces, there and back. The model's shape is
/// known without its file, so that every test has its name on every machine.
std::vector<Case> kernels_of_all_layers(const ModelShape& shape, ane::Pad pad) {
  Case c;
  c.data = DataKind::real;
  c.variant.pad = pad;
  c.shape = shape;
  std::vector<Case> cases;
  for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
    c.layer = layer;
    for (const std::string& kernel : ane::layer_plan(c.variant).kernels()) {
      c.kernel = kernel;
      cases.push_back(c);
    }
  }
  return cases;
}

struct RealModel {
  ModelShape shape;
  reference::ModelTrace trace;
};

RealModel real_model(const reference::Model& model, const std::vector<std::int32_t>& tokens) {
  RealModel real{model.shape, reference::trace_model(model, tokens)};
  real.shape.seq = static_cast<std::int64_t>(tokens.size());
  return real;
}

class RealCase : public KernelCase {
 protected:
  void pass(const RealModel& model) {
    const Case& c = GetParam().c;
    ASSERT_EQ(c.shape, model.shape) << "the checkpoint is not the one that the cases are named after";
    const CaseData data = real_case_data(c, ane::KernelRegistry::builtin().find(c.kernel).layout(kernel_config(c)),
                                         model.trace.layers.at(static_cast<std::size_t>(c.layer.value())));
    expect_passed(run(&data));
  }
};

/// The project's own checkpoint (data/README.md), which reads bytes.
ModelShape grammar_shape() {
  return parse_model_shape(R"({"name": "small-gqa", "dim": 64, "hidden": 128, "heads": 4, "kv_heads": 2,
                               "head_dim": 16, "seq": 64, "layers": 2, "vocab": 27})",
                           "the grammar's model");
}

class GrammarModel : public RealCase {};

TEST_P(GrammarModel, Passes) {
  static const RealModel model = [] {
    const Weights weights = load_weights("data/small-gqa.safetensors");
    // As many bytes as the model's sequence, from sentences that it was not trained on.
    constexpr std::string_view text = "the quiet girls that the old king helps often wait by the sea. a";
    return real_model(weights.model, rows_of_tokens(weights, {text.begin(), text.end()}));
  }();
  pass(model);
}

INSTANTIATE_TEST_SUITE_P(Real, GrammarModel,
                         ::testing::ValuesIn(on_profiles(all_profiles(),
                                                         kernels_of_all_layers(grammar_shape(), ane::Pad::none))),
                         test_name);

class StoriesModel : public RealCase {};

TEST_P(StoriesModel, Passes) {
  const char* folder = std::getenv("ANEVAL_DATA");
  const std::filesystem::path data = folder != nullptr ? folder : "";
  if (folder == nullptr || !std::filesystem::exists(data / "stories260K.bin"))
    GTEST_SKIP() << "ANEVAL_DATA names no folder with stories260K.bin and tok512.bin";
  static const RealModel model = [&] {
    constexpr const char* text = "Once upon a time, there was a little girl named Lily. She loved to play outside.";
    const reference::Model stories = reference::read_llama2c(data / "stories260K.bin");
    return real_model(stories, reference::Tokenizer::read(data / "tok512.bin", stories.shape.vocab).encode(text));
  }();
  pass(model);
}

ModelShape stories_shape() {  // with as many tokens as the text has
  return parse_model_shape(R"({"name": "stories260K", "dim": 64, "hidden": 172, "heads": 8, "kv_heads": 4,
                               "head_dim": 8, "seq": 27, "layers": 5, "vocab": 512, "residual_scale": 1})",
                           "stories260K");
}

// Its feed-forward width is 172 and the text has 27 tokens: the engine needs multiples of 32.
INSTANTIATE_TEST_SUITE_P(
    Real, StoriesModel,
    ::testing::ValuesIn(on_profiles(all_profiles(), kernels_of_all_layers(stories_shape(), ane::Pad::multiple_of_32))),
    test_name);

}  // namespace
}  // namespace aneval::validate
