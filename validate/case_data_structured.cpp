// Errors of independent random numbers average out; a model's do not. Three structures that keep them from it:
//
//   sinks    A few keys, token 0 among them, that almost every query attends to strongly, with small values there: the
//            probabilities of all other keys are small numbers, and the sinks' gradients long sums of one sign. Where
//            nothing attends, the tokens that carry massive activations in such models: ten times as large as others.
//            (Xiao et al. 2023, Efficient Streaming Language Models with Attention Sinks; Sun et al. 2024, Massive
//            Activations in Large Language Models.)
//   means    Every channel of activations and gradients has an offset of its own, as large as its deviation, shared by
//            all tokens: products have an offset too, and what is lost of it is lost with one sign.
//   repeats  Four distinct tokens in random order: scores, probabilities and their errors come many times over, and
//            maxima are tied.
//
// q, k, probs, v and dp of one case belong together: probs is the softmax of q and k, dp small where v is.
#include "validate/case_data_structured.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "common/random.h"

namespace aneval::validate {
namespace {

constexpr double kMassive = 10;       // of a token that carries massive activations, over others
constexpr double kSmallValue = 0.05;  // of a sink's value, over others'
/// Rows that sum to 1: made from q and k, never changed number by number.
const std::string kProbabilities = "probs";

double scale_of_scores(const Case& c) {
  // Folded: q lies on the surface with the scale in it.
  return c.variant.score_scale == ane::ScoreScale::folded ? 1 : 1 / std::sqrt(static_cast<double>(c.shape.head_dim));
}

void scale_column(Tensor& tensor, std::int64_t column, double factor) {
  for (std::int64_t row = 0; row < tensor.rows(); ++row) {
    float& value = tensor.data[static_cast<std::size_t>(row * tensor.cols() + column)];
    value = static_cast<float>(static_cast<double>(value) * factor);
  }
}

/// The score that gives a sink most of the probability among n keys whose scores are N(0, sd²): the sum of their
/// exponentials is about n·e^(sd²/2), until the largest one, sd·sqrt(2·ln n), outweighs the rest. e^4 times that, and
/// sd for queries that are larger than others.
double sink_score(std::int64_t n, double sd) {
  const double log_n = std::log(static_cast<double>(n));
  return 4 + sd + log_n + std::min(sd * sd / 2, sd * std::sqrt(2 * log_n));
}

/// Whether a query attends to the sinks: all do but one in 16.
std::vector<bool> attends_to_sinks(const Case& c) {
  Random random(c.seed, "queries of sinks");
  std::vector<bool> attends(static_cast<std::size_t>(c.shape.seq));
  for (std::size_t t = 0; t < attends.size(); ++t) attends[t] = random.below(16) != 0;
  return attends;
}

/// The direction of a head in which queries meet sinks: a sign for each lane.
std::vector<double> sink_direction(const Case& c) {
  Random random(c.seed, "direction of sinks");
  std::vector<double> signs(static_cast<std::size_t>(c.shape.head_dim));
  for (double& sign : signs) sign = random.below(2) == 0 ? -1 : 1;
  return signs;
}

/// [H·h, S]: sets what every token has of the direction, per lane, in place of what chance gave it.
template <class PerLane>
void set_component(const Case& c, Tensor& tensor, const PerLane& per_lane) {
  const std::vector<double> signs = sink_direction(c);
  const std::int64_t seq = tensor.cols(), h = c.shape.head_dim;
  for (std::int64_t head = 0; head < tensor.rows() / h; ++head) {
    for (std::int64_t t = 0; t < seq; ++t) {
      const auto at = [&](std::int64_t lane) -> float& {
        return tensor.data[static_cast<std::size_t>((head * h + lane) * seq + t)];
      };
      double component = 0;
      for (std::int64_t lane = 0; lane < h; ++lane)
        component += signs[static_cast<std::size_t>(lane)] * static_cast<double>(at(lane));
      const double change = per_lane(t) - component / static_cast<double>(h);
      for (std::int64_t lane = 0; lane < h; ++lane)
        at(lane) = static_cast<float>(static_cast<double>(at(lane)) + signs[static_cast<std::size_t>(lane)] * change);
    }
  }
}

/// Queries and sinks share a direction, which other keys have nothing of.
void add_sinks_to_heads(const Case& c, CaseData& data) {
  const std::vector<std::int64_t> sinks = sink_tokens(c);
  const std::vector<bool> attends = attends_to_sinks(c);
  const double root = std::sqrt(static_cast<double>(c.shape.head_dim));
  // Over h lanes, and divided by sqrt(h), the square of this sums to the score.
  const double share = std::sqrt(sink_score(c.shape.seq, c.amplitude * c.amplitude) / root);
  const AttentionSlots slots = attention_slots(data);
  Tensor& k = *slots.k;
  for (const std::int64_t sink : sinks) scale_column(k, sink, 0.25);  // little else than the direction
  set_component(c, *slots.q, [&](std::int64_t t) { return attends[static_cast<std::size_t>(t)] ? share : 0.0; });
  set_component(c, k, [&](std::int64_t t) { return std::binary_search(sinks.begin(), sinks.end(), t) ? share : 0.0; });
  const auto dp = data.activations.find("dp");
  for (Tensor* values : {slots.v, dp == data.activations.end() ? nullptr : &dp->second})
    if (values != nullptr)
      for (const std::int64_t sink : sinks) scale_column(*values, sink, kSmallValue);
}

/// The lanes of the pairs that RoPE turns by less than half a radian over the sequence, the slowest pair at least:
/// there a direction survives it.
std::vector<std::int64_t> slow_lanes(const ModelShape& shape) {
  const std::int64_t pairs = shape.head_dim / 2;
  std::vector<std::int64_t> lanes;
  for (std::int64_t i = 0; i < pairs; ++i) {
    const double turn = static_cast<double>(shape.seq) *
                        std::pow(shape.rope_base, -2.0 * static_cast<double>(i) / static_cast<double>(shape.head_dim));
    if (turn >= 0.5 && i + 1 < pairs) continue;
    const bool half = shape.rope_pairing == RopePairing::half;
    lanes.push_back(half ? i : 2 * i);
    lanes.push_back(half ? i + pairs : 2 * i + 1);
  }
  return lanes;
}

/// As trained models make sinks: one channel holds a massive activation of the sinks, whose other channels RMSNorm then
/// makes small; keys read that channel, queries one that is the same for all tokens, values hardly any.
void add_sinks_to_forward(const Case& c, CaseData& data) {
  const std::int64_t dim = c.shape.dim, h = c.shape.head_dim, massive = 0, shared = dim - 1;
  Tensor& xn = data.activations.at("xn");
  const std::vector<bool> attends = attends_to_sinks(c);
  for (std::int64_t t = 0; t < xn.cols(); ++t) {
    xn.data[static_cast<std::size_t>(massive * xn.cols() + t)] *= 0.1F;
    xn.data[static_cast<std::size_t>(shared * xn.cols() + t)] =
        attends[static_cast<std::size_t>(t)] ? static_cast<float>(c.amplitude) : 0.0F;
  }
  for (const std::int64_t sink : sink_tokens(c)) {
    scale_column(xn, sink, kSmallValue);
    xn.data[static_cast<std::size_t>(massive * xn.cols() + sink)] = static_cast<float>(kMassive * c.amplitude);
  }
  const std::vector<double> signs = sink_direction(c);
  const std::vector<std::int64_t> lanes = slow_lanes(c.shape);
  // (share·amp)·(share·10·amp) in every lane, over sqrt(h).
  const double share =
      std::sqrt(sink_score(c.shape.seq, c.amplitude * c.amplitude) * std::sqrt(static_cast<double>(h)) /
                (kMassive * c.amplitude * c.amplitude * static_cast<double>(lanes.size())));
  const auto read_channel = [&](Tensor& w, std::int64_t channel) {
    for (std::int64_t head = 0; head < w.rows() / h; ++head)
      for (const std::int64_t lane : lanes)
        w.data[static_cast<std::size_t>((head * h + lane) * dim + channel)] +=
            static_cast<float>(share * signs[static_cast<std::size_t>(lane)]);
  };
  scale_column(data.weights.at("wk"), massive,
               kSmallValue);  // what else keys would have of it changes the score by chance
  read_channel(data.weights.at("wq"), shared);
  read_channel(data.weights.at("wk"), massive);
  scale_column(data.weights.at("wv"), massive, kSmallValue / kMassive);
}

void add_sinks(const Case& c, CaseData& data) {
  if (attention_slots(data).k != nullptr) {
    add_sinks_to_heads(c, data);
  } else if (data.activations.contains("xn") && data.weights.contains("wk")) {
    add_sinks_to_forward(c, data);
  } else {
    for (auto& [slot, tensor] : data.activations)
      if (slot != kProbabilities)
        for (const std::int64_t token : sink_tokens(c)) scale_column(tensor, token, kMassive);
  }
}

/// A row of dp is a query: what all its keys share, the softmax's gradient takes away again.
void add_means(const Case& c, CaseData& data) {
  for (auto& [slot, tensor] : data.activations) {
    if (slot == kProbabilities) continue;
    Random random(c.seed, "means of " + slot);
    const double size = is_gradient(slot) ? c.amplitude * c.gradient : c.amplitude;
    for (std::int64_t row = 0; row < tensor.rows(); ++row) {
      const double mean = size * random.normal();
      for (std::int64_t t = 0; t < tensor.cols(); ++t) {
        float& value = tensor.data[static_cast<std::size_t>(row * tensor.cols() + t)];
        value = static_cast<float>(static_cast<double>(value) + mean);
      }
    }
  }
}

void add_repeats(const Case& c, CaseData& data) {
  const std::vector<std::int64_t> first = repeated_tokens(c);
  const std::int64_t seq = c.shape.seq;
  for (auto& [slot, tensor] : data.activations) {
    if (slot == kProbabilities) continue;
    const auto row_begin = [&rows = tensor](std::int64_t row) { return rows.data.begin() + row * rows.cols(); };
    for (std::int64_t row = 0; row < tensor.rows(); ++row)
      for (std::int64_t t = 0; t < seq; ++t) row_begin(row)[t] = row_begin(row)[first[static_cast<std::size_t>(t)]];
    if (slot != "dp") continue;
    // Its rows are tokens too.
    for (std::int64_t row = 0; row < tensor.rows(); ++row) {
      const std::int64_t source = row - row % seq + first[static_cast<std::size_t>(row % seq)];
      if (source != row) std::copy_n(row_begin(source), seq, row_begin(row));
    }
  }
}

/// probs [H·S, S]: the causal softmax of q and k.
void attend(const Case& c, CaseData& data) {
  const Tensor &q = data.activations.at("q"), &k = data.activations.at("k_tiled");
  Tensor& probs = data.activations.at(kProbabilities);
  const std::int64_t seq = probs.cols(), h = c.shape.head_dim;
  const double scale = scale_of_scores(c);
  std::vector<double> scores(static_cast<std::size_t>(seq));
  for (std::int64_t head = 0; head < c.shape.heads; ++head)
    for (std::int64_t query = 0; query < seq; ++query) {
      std::fill(scores.begin(), scores.end(), 0.0);
      for (std::int64_t lane = head * h; lane < (head + 1) * h; ++lane) {
        const double factor = scale * static_cast<double>(q.data[static_cast<std::size_t>(lane * seq + query)]);
        const float* keys = k.data.data() + lane * seq;
        for (std::int64_t key = 0; key <= query; ++key)
          scores[static_cast<std::size_t>(key)] += factor * static_cast<double>(keys[key]);
      }
      const double largest = *std::max_element(scores.begin(), scores.begin() + query + 1);
      double sum = 0;
      for (std::int64_t key = 0; key <= query; ++key)
        sum += scores[static_cast<std::size_t>(key)] = std::exp(scores[static_cast<std::size_t>(key)] - largest);
      float* p = probs.data.data() + (head * seq + query) * seq;
      for (std::int64_t key = 0; key < seq; ++key)
        p[key] = key <= query ? static_cast<float>(scores[static_cast<std::size_t>(key)] / sum) : 0.0F;
    }
}

}  // namespace

std::vector<std::int64_t> sink_tokens(const Case& c) {
  Random random(c.seed, "tokens of sinks");
  std::vector<std::int64_t> sinks = {0};
  while (c.shape.seq >= 16 && sinks.size() < 3) {
    const std::int64_t token = 1 + random.below(c.shape.seq / 4 - 1);
    if (std::find(sinks.begin(), sinks.end(), token) == sinks.end()) sinks.push_back(token);
  }
  std::sort(sinks.begin(), sinks.end());
  return sinks;
}

std::vector<std::int64_t> repeated_tokens(const Case& c) {
  Random random(c.seed, "repeated tokens");
  const std::int64_t distinct = std::min<std::int64_t>(4, c.shape.seq);
  std::vector<std::int64_t> first(static_cast<std::size_t>(c.shape.seq));
  for (std::int64_t t = 0; t < c.shape.seq; ++t)
    first[static_cast<std::size_t>(t)] = t < distinct ? t : random.below(distinct);
  return first;
}

void add_structure(const Case& c, CaseData& data) {
  if (c.data == DataKind::sinks) add_sinks(c, data);
  if (c.data == DataKind::means) add_means(c, data);
  if (c.data == DataKind::repeats) add_repeats(c, data);
  const AttentionSlots slots = attention_slots(data);
  if (slots.q == nullptr) return;
  // As it lies on the surface: with the scale in it, where the variant folds it.
  if (c.variant.score_scale == ane::ScoreScale::folded)
    for (float& value : slots.q->data)
      value = static_cast<float>(static_cast<double>(value) / std::sqrt(static_cast<double>(c.shape.head_dim)));
  if (data.activations.contains(kProbabilities)) attend(c, data);
}

}  // namespace aneval::validate
