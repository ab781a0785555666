// Exact data leave nothing to round: every block that holds integers or selections has one possible value per element,
// and the gate demands it. Found before any statistics: layout, mask, head map and index faults.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "ane/emulator/emulator.h"
#include "validate/kernel_check.h"
#include "validate/suites.h"

namespace aneval::validate {
namespace {

using Blocks = std::vector<std::string>;

Case exact_case(const std::string& kernel, const ModelShape& shape, std::uint64_t seed = 1) {
  Case c;
  c.kernel = kernel;
  c.shape = shape;
  c.data = DataKind::exact;
  c.seed = seed;
  return c;
}

/// The case's data on its first tokens only. Attention is causal, so they mean the same.
CaseData first_tokens(const Case& c, std::int64_t tokens) {
  CaseData data = make_case_data(c, ane::KernelRegistry::builtin().find(c.kernel).layout(kernel_config(c)));
  for (auto& [slot, tensor] : data.activations) {
    Tensor cut({tensor.rows(), tokens});
    for (std::int64_t row = 0; row < tensor.rows(); ++row)
      std::copy_n(tensor.data.begin() + row * tensor.cols(), tokens, cut.data.begin() + row * tokens);
    tensor = std::move(cut);
  }
  return data;
}

/// Every element of these blocks has one possible value, and the device gave it.
void expect_exact(const CaseResult& result, const Blocks& names, const std::string& profile) {
  EXPECT_EQ(result.status, Status::ok) << profile << ' ' << case_text(result.c) << ": " << result.reason;
  for (const std::string& name : names) {
    const auto block = std::find_if(result.blocks.begin(), result.blocks.end(),
                                    [&](const BlockJudgement& b) { return b.block == name; });
    ASSERT_NE(block, result.blocks.end()) << name;
    EXPECT_EQ(block->exact_elements, block->channels * block->tokens)
        << profile << ' ' << case_text(result.c) << ' ' << name;
    EXPECT_LT(block->metrics.max_abs, kSingleNumberBound) << name;
  }
}

class ExactData : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    emulator::EmulatorOptions emulator;
    emulator.profile = GetParam();
    device_ = emulator::make_emulator(emulator);
    CheckOptions options;
    options.device = device_.get();
    options.profile = emulator::find_profile(GetParam());
    checker_ = std::make_unique<KernelChecker>(options);
  }

  std::unique_ptr<ane::Device> device_;
  std::unique_ptr<KernelChecker> checker_;
};

INSTANTIATE_TEST_SUITE_P(Profiles, ExactData, ::testing::Values("ieee", "h13", "h14", "h15", "h16", "h17", "h18"),
                         [](const auto& profile) { return profile.param; });

TEST_P(ExactData, LinearBlocksAndSelectionsRoundNothingOnAnyShape) {
  const std::map<std::string, Blocks> blocks = {{"sdpaFwd", {"attn", "v", "xn"}},
                                                {"woFwd", {"o"}},
                                                {"ffnFused", {"h1", "h3"}},
                                                {"ffnBwdW2t", {"dsilu"}},
                                                {"wotBwd", {"da"}},
                                                {"ffnBwdW13t", {"dx_ffn"}},
                                                {"qBwd", {"dx_q"}},
                                                {"kvBwd", {"dx_kv"}},
                                                {"qkvBwd", {"dxn"}},
                                                {"ffnUpGate", {"h1", "h3"}},
                                                {"ffnUp", {"h1", "h3"}},
                                                {"ffnDown", {"y"}},
                                                {"sdpaWoFwd", {"o", "attn", "v"}},
                                                {"sdpaQkv", {"q", "k", "v"}},
                                                {"sdpaCore", {"attn"}},
                                                {"sdpaBwd1", {"dv_full", "probs", "dp"}}};
  for (const ModelShape& shape : edge_shapes())
    for (const auto& [kernel, names] : blocks)
      expect_exact(checker_->run(exact_case(kernel, shape)), names, GetParam());
}

TEST_P(ExactData, QueriesAndKeysRoundNothingAtPosition0) {
  for (const ModelShape& shape : edge_shapes())
    for (const char* kernel : {"sdpaFwd", "sdpaWoFwd"}) {
      const Case whole = exact_case(kernel, shape);
      Case first = whole;
      first.shape.seq = 1;
      expect_exact(checker_->run(first, first_tokens(whole, 1)), {"q_rope", "k_rope"}, GetParam());
    }
}

TEST_P(ExactData, TheGateRoundsNothingWhereH1IsZero) {
  for (const ModelShape& shape : edge_shapes()) {
    if (shape.seq == 1) continue;
    const std::map<std::string, Blocks> blocks = {
        {"ffnFused", {"y", "g", "h1"}}, {"ffnUpGate", {"g", "h1"}}, {"ffnBwdSiluW13t", {"dh3"}}};
    for (const auto& [kernel, names] : blocks) {
      const Case whole = exact_case(kernel, shape);
      Case silent = whole;
      silent.shape.seq = shape.seq / 2;
      expect_exact(checker_->run(silent, first_tokens(whole, silent.shape.seq)), names, GetParam());
    }
  }
}

// 1/sqrt(h) is a power of two when h is one of four, or when Wq holds it.
TEST_P(ExactData, ScoreGradientsRoundNothingWhereTheScaleDoesNot) {
  for (const ModelShape& shape : edge_shapes()) {
    Case c = exact_case("sdpaBwd2", shape);
    if (shape.head_dim == 16 || shape.head_dim == 64) expect_exact(checker_->run(c), {"dq", "dk_full"}, GetParam());
    c.variant.score_scale = ane::ScoreScale::folded;
    expect_exact(checker_->run(c), {"dq", "dk_full"}, GetParam());
  }
}

/// How many elements of a block the reference says are not zero, of those there are.
double filled(const Case& c, const std::string& block) {
  const auto layout = ane::KernelRegistry::builtin().find(c.kernel).layout(kernel_config(c));
  const CaseData data = make_case_data(c, layout);
  reference::Matrices<double> in;
  for (const ane::Slot& slot : layout.slots()) {
    const Tensor& t =
        slot.kind == ane::SlotKind::weight ? data.weights.at(slot.weight) : data.activations.at(slot.name);
    reference::Matrix<double> matrix =
        Eigen::Map<const reference::Matrix<float>>(t.data.data(), t.rows(), t.cols()).cast<double>();
    if (slot.transposed) matrix = matrix.transpose().eval();
    in[slot.name] = std::move(matrix);
  }
  const auto out = reference::KernelTable::builtin().find(c.kernel).in_double(c.shape, {}, in);
  const auto& matrix = out.at(block);
  return static_cast<double>((matrix.array() != 0).count()) / static_cast<double>(matrix.size());
}

// A block of zeros would be exact too, and would find nothing.
TEST(ExactDataContent, NoBlockIsMostlyZero) {
  struct Row {
    const char *kernel, *block;
    double least;
  };
  // ds is zero where both selected keys have the same dp, and few queries select late keys.
  for (const Row& row :
       {Row{"sdpaFwd", "attn", 0.4},      Row{"sdpaFwd", "q_rope", 0.5},  Row{"sdpaFwd", "v", 0.5},
        Row{"woFwd", "o", 0.5},           Row{"ffnFused", "y", 0.5},      Row{"ffnBwdW2t", "dsilu", 0.5},
        Row{"ffnBwdW13t", "dx_ffn", 0.5}, Row{"wotBwd", "da", 0.5},       Row{"sdpaBwd1", "dp", 0.5},
        Row{"sdpaBwd1", "dv_full", 0.05}, Row{"sdpaBwd2", "dq", 0.3},     Row{"sdpaBwd2", "dk_full", 0.1},
        Row{"qBwd", "dx_q", 0.5},         Row{"kvBwd", "dx_kv", 0.5},     Row{"qkvBwd", "dxn", 0.5},
        Row{"ffnDown", "y", 0.5},         Row{"ffnUp", "h3", 0.2},        Row{"sdpaWoFwd", "o", 0.5},
        Row{"sdpaBwd", "dq", 0.3},        Row{"sdpaBwd", "dk_full", 0.1}, Row{"sdpaCore", "attn", 0.4},
        Row{"sdpaQkv", "q", 0.5}})
    EXPECT_GT(filled(exact_case(row.kernel, edge_shapes().front()), row.block), row.least)
        << row.kernel << ' ' << row.block;
  // Position 0, where all lanes count.
  ModelShape shape = edge_shapes().front();
  shape.seq = 1;
  for (const char* block : {"q_rope", "k_rope"}) EXPECT_GT(filled(exact_case("sdpaFwd", shape), block), 0.5) << block;
}

}  // namespace
}  // namespace aneval::validate
