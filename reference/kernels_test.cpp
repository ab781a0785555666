// Every kernel of the table against the layer: fed with the layer's tensors, it must give the layer's next ones.
#include "reference/kernels.h"

#include <gmock/gmock.h>

#include "common/error.h"
#include "reference/blocks.h"
#include "reference/test_support.h"

namespace aneval::reference {
namespace {

/// A layer with everything it computed, and what kernels need of it in their own form.
struct Chain {
  ModelShape shape;
  Options options;
  Matrices<double> tensors;  // input, tape and gradients by name

  static Chain make(const ModelShape& shape, const Options& options) {
    Chain chain{shape, options, random_layer(shape, shape.seq, 21)};
    Random random(22);
    const Matrix<double> dy = random_matrix<double>(shape.dim, shape.seq, 1, random);
    const Matrices<double> tape = layer_forward(shape, options, chain.tensors);
    const Matrices<double> gradients = layer_backward(shape, options, chain.tensors, tape, dy);
    chain.tensors.insert(tape.begin(), tape.end());
    for (const char* rotated : {"q", "k"}) {
      Matrix<double>& plain = chain.tensors[std::string(rotated) + "_plain"] = tape.at(rotated);
      Rotation<double>(shape, plain.cols()).undo(plain);
    }
    chain.tensors.insert(gradients.begin(), gradients.end());
    for (const char* name : {"wq", "wk", "wv", "wo", "w1", "w2", "w3"})
      chain.tensors[std::string(name) + "_t"] = chain.tensors[name].transpose();
    chain.tensors["dxn"] = chain.tensors.at("dx_q") + chain.tensors.at("dx_kv");
    chain.tensors["k_tiled"] = chain.tiled("k");
    chain.tensors["v_tiled"] = chain.tiled("v");
    return chain;
  }

  Matrix<double> tiled(const char* name) const {
    Matrix<double> full(shape.q_dim(), shape.seq);
    for (std::int64_t j = 0; j < shape.heads; ++j) {
      const std::int64_t source = options.cyclic_heads ? j % shape.kv_heads : j / shape.ratio();
      full.middleRows(j * shape.head_dim, shape.head_dim) =
          tensors.at(name).middleRows(source * shape.head_dim, shape.head_dim);
    }
    return full;
  }
};

/// A kernel's slots and blocks, each with the name of the layer's tensor it is.
struct Wiring {
  std::string kernel;
  std::vector<std::pair<std::string, std::string>> slots, blocks;
};

const std::vector<Wiring>& wirings() {
  static const std::vector<Wiring> all = {
      {"sdpaFwd",
       {{"xn", "xn"}, {"wq_t", "wq_t"}, {"wk_t", "wk_t"}, {"wv_t", "wv_t"}},
       {{"attn", "attn"}, {"q_rope", "q"}, {"k_rope", "k"}, {"v", "v"}, {"xn", "xn"}}},
      {"woFwd", {{"attn", "attn"}, {"wo_t", "wo_t"}}, {{"o", "o"}}},
      {"ffnFused",
       {{"xm", "xm"}, {"x2", "x2"}, {"w1_t", "w1_t"}, {"w3_t", "w3_t"}, {"w2", "w2"}},
       {{"y", "y"}, {"h1", "h1"}, {"h3", "h3"}, {"g", "g"}}},
      {"ffnBwdW2t", {{"dffn", "dffn"}, {"w2", "w2"}}, {{"dsilu", "dsilu"}}},
      {"ffnBwdW13t", {{"dh1", "dh1"}, {"dh3", "dh3"}, {"w1", "w1"}, {"w3", "w3"}}, {{"dx_ffn", "dx_ffn"}}},
      {"wotBwd", {{"dy", "dxo"}, {"wo", "wo"}}, {{"da", "da"}}},
      {"sdpaBwd1",
       {{"q", "q"}, {"k_tiled", "k_tiled"}, {"v_tiled", "v_tiled"}, {"da", "da"}},
       {{"dv_full", "dv_full"}, {"probs", "probs"}, {"dp", "dp"}}},
      {"sdpaBwd2",
       {{"probs", "probs"}, {"dp", "dp"}, {"q", "q"}, {"k_tiled", "k_tiled"}},
       {{"dq", "dq_rope"}, {"dk_full", "dk_full"}}},
      {"qBwd", {{"dq", "dq"}, {"wq", "wq"}}, {{"dx_q", "dx_q"}}},
      {"kvBwd", {{"dk", "dk"}, {"dv", "dv"}, {"wk", "wk"}, {"wv", "wv"}}, {{"dx_kv", "dx_kv"}}},
      {"qkvBwd",
       {{"dq", "dq"}, {"dk", "dk"}, {"dv", "dv"}, {"wq", "wq"}, {"wk", "wk"}, {"wv", "wv"}},
       {{"dxn", "dxn"}}},
      {"ffnBwdSiluW13t",
       {{"dsilu", "dsilu"}, {"h1", "h1"}, {"h3", "h3"}, {"w1", "w1"}, {"w3", "w3"}},
       {{"dx_ffn", "dx_ffn"}, {"dh1", "dh1"}, {"dh3", "dh3"}}},
      {"ffnUpGate", {{"xm", "xm"}, {"w1_t", "w1_t"}, {"w3_t", "w3_t"}}, {{"h1", "h1"}, {"h3", "h3"}, {"g", "g"}}},
      {"ffnUp", {{"xm", "xm"}, {"w1_t", "w1_t"}, {"w3_t", "w3_t"}}, {{"h1", "h1"}, {"h3", "h3"}}},
      {"ffnDown", {{"g", "g"}, {"x2", "x2"}, {"w2_t", "w2_t"}}, {{"y", "y"}}},
      {"sdpaBwd",
       {{"q", "q"}, {"k_tiled", "k_tiled"}, {"v_tiled", "v_tiled"}, {"da", "da"}},
       {{"dq", "dq_rope"}, {"dk_full", "dk_full"}, {"dv_full", "dv_full"}}},
      {"sdpaWoFwd",
       {{"xn", "xn"}, {"wq_t", "wq_t"}, {"wk_t", "wk_t"}, {"wv_t", "wv_t"}, {"wo", "wo"}},
       {{"o", "o"}, {"attn", "attn"}, {"q_rope", "q"}, {"k_rope", "k"}, {"v", "v"}}},
      {"sdpaQkv",
       {{"xn", "xn"}, {"wq_t", "wq_t"}, {"wk_t", "wk_t"}, {"wv_t", "wv_t"}},
       {{"q", "q_plain"}, {"k", "k_plain"}, {"v", "v"}}},
      {"sdpaCore", {{"q_rope", "q"}, {"k_rope", "k"}, {"v", "v"}}, {{"attn", "attn"}}},
      {"dynMatmul", {{"act", "xm"}, {"w", "w1_t"}}, {{"y", "h1"}}},
  };
  return all;
}

Matrices<double> slots_of(const Wiring& wiring, const Chain& chain) {
  Matrices<double> slots;
  for (const auto& [slot, tensor] : wiring.slots) slots[slot] = chain.tensors.at(tensor);
  return slots;
}

ModelShape chain_shape() {
  ModelShape s;
  s.dim = 20, s.hidden = 14, s.heads = 4, s.kv_heads = 2, s.head_dim = 6, s.seq = 9, s.layers = 2, s.vocab = 3;
  s.residual_scale = 0.5;
  return s;
}

class KernelChain : public testing::TestWithParam<std::size_t> {};

TEST_P(KernelChain, ReproducesTheLayersTensors) {
  const Wiring& wiring = wirings()[GetParam()];
  const KernelReference reference = KernelTable::builtin().find(wiring.kernel);
  for (const RopePairing pairing : {RopePairing::interleaved, RopePairing::half})
    for (const bool cyclic : {false, true}) {
      ModelShape shape = chain_shape();
      shape.rope_pairing = pairing;
      const Chain chain = Chain::make(shape, {.cyclic_heads = cyclic});
      const Matrices<double> slots = slots_of(wiring, chain);
      shape.seq = 1000;  // kernels take S from their slots
      const Matrices<double> blocks = reference.in_double(shape, chain.options, slots);
      const Matrices<float> in_float = reference.in_float(shape, chain.options, to_float(slots));
      ASSERT_GE(blocks.size(), wiring.blocks.size());  // sdpaBwd1 also passes q and k_tiled through
      ASSERT_EQ(in_float.size(), blocks.size());
      for (const auto& [block, tensor] : wiring.blocks) {
        EXPECT_LE(relative_difference(blocks.at(block), chain.tensors.at(tensor)), 1e-12) << block;
        // The slots' own rounding and at most four products of up to 24 terms, each within n·u.
        EXPECT_LE(relative_difference(in_float.at(block), chain.tensors.at(tensor)), 4 * 25 * kUnitFloat) << block;
      }
    }
}

TEST_P(KernelChain, NamesAMissingOrMisshapenSlot) {
  const Wiring& wiring = wirings()[GetParam()];
  const KernelReference reference = KernelTable::builtin().find(wiring.kernel);
  const Chain chain = Chain::make(chain_shape(), {});
  const auto message = [&](const Matrices<double>& slots) -> std::string {
    const Error error = error_of([&] { reference.in_double(chain.shape, chain.options, slots); });
    EXPECT_EQ(error.code(), ExitCode::bad_input);
    return error.what();
  };
  for (const auto& entry : wiring.slots) {
    Matrices<double> slots = slots_of(wiring, chain);
    slots.erase(entry.first);
    EXPECT_THAT(message(slots), testing::AllOf(testing::HasSubstr("kernel " + wiring.kernel),
                                               testing::HasSubstr("'" + entry.first + "' is missing")));
    slots[entry.first] = Matrix<double>::Zero(5, 4);
    // The generic matmul takes any act, so that a wrong one shows in w.
    const std::string blamed = wiring.kernel == "dynMatmul" ? "w" : entry.first;
    EXPECT_THAT(message(slots), testing::AllOf(testing::HasSubstr("kernel " + wiring.kernel),
                                               testing::HasSubstr("'" + blamed + "' has shape ["),
                                               testing::HasSubstr("give it shape [")));
  }
}

INSTANTIATE_TEST_SUITE_P(Table, KernelChain, testing::Range<std::size_t>(0, wirings().size()),
                         [](const auto& row) { return wirings()[row.param].kernel; });

TEST(KernelOptions, FoldedScaleIsTheSameAttentionOfAScaledQ) {
  const ModelShape shape = chain_shape();
  const Chain chain = Chain::make(shape, {});
  const double scale = 1 / std::sqrt(static_cast<double>(shape.head_dim));
  const Options folded{.folded_scale = true};
  const KernelTable table = KernelTable::builtin();
  const auto run = [&](const char* kernel, const Matrices<double>& slots) {
    return table.find(kernel).in_double(shape, folded, slots);
  };
  Matrices<double> slots = slots_of(wirings()[0], chain);
  slots.at("wq_t") *= scale;
  const Matrices<double> forward = run("sdpaFwd", slots);
  EXPECT_LE(relative_difference(forward.at("attn"), chain.tensors.at("attn")), 1e-12);
  EXPECT_LE(relative_difference(forward.at("q_rope"), Matrix<double>(scale * chain.tensors.at("q"))), 1e-12);

  const Matrix<double> scaled_q = scale * chain.tensors.at("q");
  slots = slots_of(wirings()[6], chain);
  slots.at("q") = scaled_q;
  const Matrices<double> first = run("sdpaBwd1", slots);
  for (const char* block : {"dv_full", "probs", "dp"})
    EXPECT_LE(relative_difference(first.at(block), chain.tensors.at(block)), 1e-12) << block;
  slots = slots_of(wirings()[7], chain);
  slots.at("q") = scaled_q;
  const Matrices<double> second = run("sdpaBwd2", slots);
  // dq is the gradient of the scaled q: times the scale it is that of q.
  EXPECT_LE(relative_difference(Matrix<double>(scale * second.at("dq")), chain.tensors.at("dq_rope")), 1e-12);
  EXPECT_LE(relative_difference(second.at("dk_full"), chain.tensors.at("dk_full")), 1e-12);
}

TEST(KernelTable, TakesNewKernelsAndRefusesKnownOrUnknownNames) {
  KernelTable table = KernelTable::builtin();
  KernelReference copy{"copy", [](const ModelShape&, const Options&, const Matrices<double>& in) { return in; },
                       [](const ModelShape&, const Options&, const Matrices<float>& in) { return in; }};
  table.add(copy);
  EXPECT_EQ(table.find("copy").name, "copy");
  EXPECT_THROW(table.add(copy), Error);
  const Error error = error_of([&] { table.find("sdpaFwdd"); });
  EXPECT_EQ(error.code(), ExitCode::bad_input);
  EXPECT_THAT(error.what(), testing::HasSubstr("sdpaFwd"));
}

}  // namespace
}  // namespace aneval::reference
