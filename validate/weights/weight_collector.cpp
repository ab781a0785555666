#include "validate/weights/weight_collector.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "common/error.h"
#include "validate/weights/hf_layout.h"
#include "validate/weights/weights.h"

namespace aneval::validate {
namespace {

constexpr std::string_view kEmbedding = "embedding", kClassifier = "classifier";

/// Parts of names that other models' tensors have, and what they mean for the kernels.
struct Foreign {
  std::string_view part, reason, remedy;
};
constexpr std::array<Foreign, 9> kForeign = {{
    {".q_norm.", "normalises queries (as Qwen3 does), which the kernels do not", "take a model without q_norm"},
    {".k_norm.", "normalises keys (as Qwen3 does), which the kernels do not", "take a model without k_norm"},
    {".bias", "is a bias (as Qwen2 has), and the kernels' projections have none", "take a model without biases"},
    {".qweight", "is quantised", "save the model dequantised, as F32, F16 or BF16"},
    {".qzeros", "is of a quantised model", "save the model dequantised, as F32, F16 or BF16"},
    {".scales", "is of a quantised model", "save the model dequantised, as F32, F16 or BF16"},
    {".g_idx", "is of a quantised model", "save the model dequantised, as F32, F16 or BF16"},
    {"weight_scale", "is of a quantised model", "save the model dequantised, as F32, F16 or BF16"},
    {".weight.", "is of a quantised model", "save the model dequantised, as F32, F16 or BF16"},
}};

/// A table that older checkpoints hold, although it follows from rope_theta.
bool is_redundant(std::string_view name) { return name.ends_with(".rotary_emb.inv_freq"); }

}  // namespace

WeightCollector::WeightCollector(const WeightPlan& plan, const std::vector<std::string>& names, const std::string& file)
    : plan_(plan) {
  const ModelShape& s = plan_.shape;
  // Before room is made for as many layers as a damaged file asks for.
  if (static_cast<std::int64_t>(names.size()) < s.layers)
    throw input_error(
        file, fmt::format("has {} tensors, and by {} the model has {} layers", names.size(), plan_.source, s.layers),
        "take files that belong together, complete");
  model_.shape = s;
  model_.layers.resize(static_cast<std::size_t>(s.layers));
  want(model_.globals, "", std::string(kEmbedding), {s.vocab, s.dim});
  want(model_.globals, "", "rms_final", {s.dim});
  want(model_.globals, "", std::string(kClassifier), {s.vocab, s.dim});
  const auto shapes = layer_weight_shapes(s);
  for (std::size_t layer = 0; layer < model_.layers.size(); ++layer)
    for (const auto& [name, shape] : shapes)
      want(model_.layers[layer], "layers." + std::to_string(layer) + ".", name, shape);
  check_names(names, file);
}

void WeightCollector::want(NamedTensors& set, const std::string& prefix, const std::string& name,
                           std::vector<std::int64_t> shape) {
  const std::string own = prefix + name;
  wanted_[plan_.hf_names ? hf_name(own) : own] = {own, &set[name], std::move(shape)};
}

void WeightCollector::refuse(const std::string& name, const std::string& file) const {
  const std::string subject = fmt::format("{}: tensor '{}'", file, name);
  for (const Foreign& foreign : kForeign)
    if (name.find(foreign.part) != std::string::npos)
      throw input_error(subject, std::string(foreign.reason), std::string(foreign.remedy));
  if (own_name(name))
    throw input_error(subject, fmt::format("is beyond the {} layers of {}", plan_.shape.layers, plan_.source),
                      "correct the number of layers there");
  throw input_error(subject, "is in no Llama model", "take a model of the llama layout");
}

void WeightCollector::check_names(const std::vector<std::string>& names, const std::string& file) const {
  for (const std::string& name : names) {
    if (wanted_.contains(name) || is_redundant(name)) continue;
    // Whatever else an own file holds, a foreign part of the model must not go unnoticed.
    if (!plan_.with_others || (plan_.hf_names && (name.starts_with("model.") || name.starts_with("lm_head"))))
      refuse(name, file);
  }
}

void WeightCollector::take(StoredTensors& stored, const std::string& file) {
  for (auto& [name, tensor] : stored) {
    const auto found = wanted_.find(name);
    if (found == wanted_.end()) continue;
    Wanted& wanted = found->second;
    if (tensor.shape != wanted.shape)
      throw input_error(fmt::format("{}: tensor '{}'", file, name),
                        fmt::format("has shape {}, and by {} it has {}", shape_text(tensor.shape), plan_.source,
                                    shape_text(wanted.shape)),
                        "take files that belong together");
    *wanted.tensor = widen(name, tensor, file);
    tensor.bytes = {};  // the next ones need the memory
    if (!std::ranges::all_of(wanted.tensor->data, [](float value) { return std::isfinite(value); }))
      throw input_error(fmt::format("{}: tensor '{}'", file, name), "a value of it is not finite",
                        "take an undamaged file");
    if (is_rotated(wanted.own_name))
      convert_pairing(*wanted.tensor, plan_.shape.head_dim, plan_.stored, plan_.shape.rope_pairing);
    wanted.found = true;
  }
}

reference::Model WeightCollector::finish(const std::string& file) {
  for (const auto& [name, wanted] : wanted_) {
    if (wanted.found || (wanted.own_name == kClassifier && plan_.tied.value_or(true))) continue;
    throw input_error(fmt::format("{}: tensor '{}'", file, name),
                      fmt::format("is missing; by {} it has shape {}", plan_.source, shape_text(wanted.shape)),
                      "take files that belong together, complete");
  }
  Tensor& classifier = model_.globals.at(std::string(kClassifier));
  if (plan_.tied == true && !classifier.data.empty() && classifier != model_.globals.at(std::string(kEmbedding)))
    throw input_error(file, "tensors 'lm_head.weight' and 'model.embed_tokens.weight' differ",
                      fmt::format("set tie_word_embeddings in {} to false", plan_.source));
  if (plan_.tied == true || classifier.data.empty()) model_.globals.erase(std::string(kClassifier));
  return std::move(model_);
}

}  // namespace aneval::validate
