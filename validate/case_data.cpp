#include "validate/case_data.h"

#include <algorithm>
#include <cmath>

#include "common/error.h"
#include "common/random.h"
#include "validate/case_data_structured.h"

namespace aneval::validate {
namespace {

/// Shape of the model tensor that a weight slot is staged from.
std::vector<std::int64_t> natural_shape(const ane::Slot& slot) {
  const std::int64_t channels = slot.channels.size(), width = slot.width.size();
  return slot.transposed ? std::vector<std::int64_t>{width, channels} : std::vector<std::int64_t>{channels, width};
}

/// [H·S, S] rows of softmax over the keys that a query may see, from N(0, 1) scores.
void fill_probabilities(Random& random, Tensor& tensor) {
  const std::int64_t rows = tensor.rows(), seq = tensor.cols();
  for (std::int64_t row = 0, query = 0; row < rows; ++row) {
    float* p = tensor.data.data() + row * seq;
    double sum = 0;
    for (std::int64_t key = 0; key <= query; ++key) {
      p[key] = static_cast<float>(std::exp(random.normal()));
      sum += static_cast<double>(p[key]);
    }
    for (std::int64_t key = 0; key < seq; ++key)
      p[key] = key <= query ? static_cast<float>(static_cast<double>(p[key]) / sum) : 0.0F;
    if (++query == seq) query = 0;  // the next head
  }
}

CaseData random_data(const Case& c, const ane::PackedLayout& layout) {
  CaseData data;
  for (const ane::Slot& slot : layout.operands()) {
    Random random(c.seed, slot.name);
    if (slot.kind == ane::SlotKind::weight) {
      Tensor tensor(natural_shape(slot));
      // fan_in is the width of the natural weight; the generic matmul's lies as on the surface, its input is its rows.
      const std::int64_t fan_in = c.kernel == "dynMatmul" ? tensor.rows() : tensor.cols();
      random.fill_normal(tensor.data, 1.0 / std::sqrt(static_cast<double>(fan_in)));
      data.weights[slot.weight] = std::move(tensor);
    } else {
      Tensor tensor({slot.channels.size(), slot.width.size()});
      if (slot.name == "probs")
        fill_probabilities(random, tensor);
      else
        random.fill_normal(tensor.data, is_gradient(slot.name) ? c.amplitude * c.gradient : c.amplitude);
      data.activations[slot.name] = std::move(tensor);
    }
  }
  return data;
}

/// Integers from −largest to largest, about one in `sparsity` of them not zero.
void fill_integers(Random& random, Tensor& tensor, std::int64_t largest, std::int64_t sparsity) {
  for (float& value : tensor.data)
    value = random.below(sparsity) == 0 ? static_cast<float>(random.below(2 * largest + 1) - largest) : 0.0F;
}

/// The key that query p of head j selects: (j + 3p) mod (p + 1).
std::int64_t selected_key(std::int64_t head, std::int64_t query) { return (head + 3 * query) % (query + 1); }

/// q [H·h, S] and k, of as many heads or of the key/value heads, such that every query's score with its key exceeds all
/// others by 128²/sqrt(h): keys carry a one-hot code of 128 in lane t, and only the first h keys carry any. From 18 on
/// the others' probabilities are 0 in fp16 (e^-18 is half of its smallest number), from 746 on, up to h = 482, in
/// double too: then the probabilities are integers for the shadows, and sums of them lose nothing. 128² stays below the
/// 32768 of the accumulators.
/// With `two`, every query has a second such key, at the same score: both have probability 1/2, so that the gradient of
/// the scores is not zero.
void fill_selection(const ModelShape& shape, Tensor& q, Tensor& k, bool two) {
  const std::int64_t seq = q.cols(), h = shape.head_dim;
  std::fill(q.data.begin(), q.data.end(), 0.0F);
  std::fill(k.data.begin(), k.data.end(), 0.0F);
  for (std::int64_t head = 0; head < k.rows() / h; ++head)
    for (std::int64_t key = 0; key < std::min(seq, h); ++key)
      k.data[static_cast<std::size_t>((head * h + key) * seq + key)] = 128.0F;
  for (std::int64_t head = 0; head < shape.heads; ++head) {
    for (std::int64_t query = 0; query < seq; ++query) {
      const std::int64_t last = std::min(query, h - 1), key = selected_key(head, last);
      q.data[static_cast<std::size_t>((head * h + key) * seq + query)] = 128.0F;
      if (two) q.data[static_cast<std::size_t>((head * h + (key + 1) % (last + 1)) * seq + query)] = 128.0F;
    }
  }
}

/// Attention of a forward kernel that picks key 0 (even queries) or key 1 (odd ones), so that attn is a copy of v: four
/// rows of xn mark tokens, and Wq, Wk turn the marks into 128 in one lane of the slowest RoPE pair, which rotation
/// leaves in place to well within pi/4. The scores differ by about 128²/sqrt(h), far above 18. All other lanes of the
/// queries hold integers, which meet no key but that of token 0 (its mark is the only one that Wk's other lanes read):
/// q_rope and k_rope are those integers at position 0, where nothing is rotated, and the scores change by a few hundred
/// at most.
void fill_forward_selection(const Case& c, CaseData& data) {
  const ModelShape& shape = c.shape;
  Tensor &xn = data.activations.at("xn"), &wq = data.weights.at("wq"), &wk = data.weights.at("wk");
  const std::int64_t seq = xn.cols(), dim = shape.dim, h = shape.head_dim;
  if (dim < 4) return;
  for (std::int64_t t = 0; t < seq; ++t) {
    const float marks[4] = {t == 0 ? 1.0F : 0.0F, t % 2 == 0 ? 1.0F : 0.0F, t % 2 == 1 ? 1.0F : 0.0F,
                            t == 1 ? 1.0F : 0.0F};
    for (std::int64_t row = 0; row < 4; ++row) xn.data[static_cast<std::size_t>(row * seq + t)] = marks[row];
  }
  const std::int64_t second = h - 1, first = shape.rope_pairing == RopePairing::half ? h / 2 - 1 : h - 2;
  Random random(c.seed, "key of token 0");
  std::fill(wk.data.begin(), wk.data.end(), 0.0F);
  for (std::int64_t row = 0; row < wk.rows(); ++row) {
    const std::int64_t drawn = random.below(4);  // −2, −1, 1 or 2
    wk.data[static_cast<std::size_t>(row * dim)] = static_cast<float>(drawn < 2 ? drawn - 2 : drawn - 1);
  }
  const auto set_lanes = [&](Tensor& w, std::int64_t heads, std::int64_t mark_first, std::int64_t mark_second) {
    for (std::int64_t head = 0; head < heads; ++head) {
      for (const auto& [lane, mark] : {std::pair{first, mark_first}, std::pair{second, mark_second}}) {
        const auto row = w.data.begin() + (head * h + lane) * dim;
        std::fill_n(row, dim, 0.0F);
        row[mark] = 128.0F;
      }
    }
  };
  set_lanes(wk, shape.kv_heads, 0, 3);
  set_lanes(wq, shape.heads, 1, 2);
}

CaseData exact_data(const Case& c, const ane::PackedLayout& layout) {
  CaseData data;
  for (const ane::Slot& slot : layout.operands()) {
    Random random(c.seed, slot.name);
    const bool weight = slot.kind == ane::SlotKind::weight;
    Tensor tensor(weight ? natural_shape(slot) : std::vector<std::int64_t>{slot.channels.size(), slot.width.size()});
    if (slot.name == "probs") {
      // Half on the selected key, half on the next one: a single key would leave ds = P∘(dp − rowsum(P∘dp)) zero.
      float* p = tensor.data.data();
      for (std::int64_t head = 0; head < c.shape.heads; ++head)
        for (std::int64_t query = 0; query < tensor.cols(); ++query, p += tensor.cols()) {
          const std::int64_t key = selected_key(head, query);
          p[key] += 0.5F;
          p[(key + 1) % (query + 1)] += 0.5F;
        }
    } else if (weight) {
      // −1, 0, 1 with one in 4 drawn: sums over a few thousand terms stay far below 2048, where fp16 skips no integer.
      fill_integers(random, tensor, 1, 4);
    } else {
      fill_integers(random, tensor, 2, 2);
      // ds = P∘(dp − rowsum(P∘dp))/sqrt(h) takes quarters of dp; times this it stays an integer, whether 1/sqrt(h) is a
      // power of two or folded.
      const float quarters = 4 * std::exp2(std::ceil(std::log2(static_cast<float>(c.shape.head_dim)) / 2));
      if (slot.name == "dp")
        for (float& value : tensor.data) value *= quarters;
      // The first half of the tokens silences h1: there g = 0 and y = x2, exactly, and σ = 1/2.
      if (slot.name == "xm" || slot.name == "h1")
        for (std::int64_t d = 0; d < tensor.rows(); ++d)
          std::fill_n(tensor.data.begin() + d * tensor.cols(), tensor.cols() / 2, 0.0F);
    }
    if (weight)
      data.weights[slot.weight] = std::move(tensor);
    else
      data.activations[slot.name] = std::move(tensor);
  }
  // Kernels that attend; one that is given probabilities does not.
  if (const AttentionSlots slots = attention_slots(data); slots.q != nullptr && !data.activations.contains("probs"))
    fill_selection(c.shape, *slots.q, *slots.k, c.kernel == "sdpaBwd");
  if (data.activations.contains("xn") && data.weights.contains("wk")) fill_forward_selection(c, data);
  return data;
}

}  // namespace

AttentionSlots attention_slots(CaseData& data) {
  const auto find = [&](const char* slot) {
    const auto found = data.activations.find(slot);
    return found == data.activations.end() ? nullptr : &found->second;
  };
  if (Tensor* k = find("k_tiled")) return {find("q"), k, find("v_tiled")};
  if (Tensor* k = find("k_rope")) return {find("q_rope"), k, find("v")};
  return {};
}

bool is_gradient(std::string_view slot) { return slot.starts_with("d"); }

void scale_gradients(CaseData& data, double factor) {
  if (factor == 1) return;
  for (auto& [slot, tensor] : data.activations)
    if (is_gradient(slot))
      for (float& value : tensor.data) value = static_cast<float>(static_cast<double>(value) * factor);
}

CaseData make_case_data(const Case& c, const ane::PackedLayout& layout) {
  if (!from_model(c.data)) {
    CaseData data = c.data == DataKind::exact ? exact_data(c, layout) : random_data(c, layout);
    if (is_structured(c.data)) add_structure(c, data);
    scale_gradients(data, c.loss_scale);
    return data;
  }
  throw input_error("case '" + case_text(c) + "'", "its data come from a model",
                    "give --weights FILE --tokenizer FILE --text TEXT, or --random-init, as well");
}

}  // namespace aneval::validate
