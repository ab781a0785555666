#include "validate/weights/hf_layout.h"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace aneval::validate {
namespace {

struct Name {
  std::string_view own, hf;
};

constexpr std::array<Name, 3> kGlobals = {
    {{"embedding", "model.embed_tokens.weight"}, {"rms_final", "model.norm.weight"}, {"classifier", "lm_head.weight"}}};
constexpr std::array<Name, 9> kLayer = {{{"wq", "self_attn.q_proj.weight"},
                                         {"wk", "self_attn.k_proj.weight"},
                                         {"wv", "self_attn.v_proj.weight"},
                                         {"wo", "self_attn.o_proj.weight"},
                                         {"w1", "mlp.gate_proj.weight"},
                                         {"w2", "mlp.down_proj.weight"},
                                         {"w3", "mlp.up_proj.weight"},
                                         {"rms_att", "input_layernorm.weight"},
                                         {"rms_ffn", "post_attention_layernorm.weight"}}};
constexpr std::string_view kOwnLayers = "layers.", kHfLayers = "model.layers.";

/// The name behind "PREFIX<number>.", and the number; nothing when the text is none of these.
struct InLayer {
  std::string_view number, rest;
};
std::optional<InLayer> in_layer(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  const std::size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
  // No leading zeros: every tensor has one name.
  if (digits == 0 || (digits > 1 && name[0] == '0') || digits >= name.size() || name[digits] != '.')
    return std::nullopt;
  return InLayer{name.substr(0, digits), name.substr(digits + 1)};
}

template <std::size_t n>
std::optional<std::string_view> translate(const std::array<Name, n>& table, std::string_view name,
                                          std::string_view Name::* from, std::string_view Name::* to) {
  const auto found = std::ranges::find(table, name, from);
  if (found == table.end()) return std::nullopt;
  return (*found).*to;
}

}  // namespace

std::string hf_name(std::string_view own) {
  if (const auto global = translate(kGlobals, own, &Name::own, &Name::hf)) return std::string(*global);
  if (const auto layer = in_layer(own, kOwnLayers))
    if (const auto name = translate(kLayer, layer->rest, &Name::own, &Name::hf))
      return std::string(kHfLayers) + std::string(layer->number) + "." + std::string(*name);
  throw std::logic_error("hf_name: no model has a tensor '" + std::string(own) + "'");
}

std::optional<std::string> own_name(std::string_view hf) {
  if (const auto global = translate(kGlobals, hf, &Name::hf, &Name::own)) return std::string(*global);
  if (const auto layer = in_layer(hf, kHfLayers))
    if (const auto name = translate(kLayer, layer->rest, &Name::hf, &Name::own))
      return std::string(kOwnLayers) + std::string(layer->number) + "." + std::string(*name);
  return std::nullopt;
}

bool is_rotated(std::string_view own) {
  const auto layer = in_layer(own, kOwnLayers);
  return layer && (layer->rest == "wq" || layer->rest == "wk");
}

void convert_pairing(Tensor& weight, std::int64_t head_dim, RopePairing from, RopePairing to) {
  if (from == to) return;
  if (weight.rows() % head_dim != 0) throw std::logic_error("convert_pairing: rows are no whole number of heads");
  Tensor result(weight.shape);
  const std::int64_t half = head_dim / 2, width = weight.cols();
  for (std::int64_t row = 0; row < weight.rows(); ++row) {
    const std::int64_t head = row / head_dim * head_dim, lane = row % head_dim;
    const std::int64_t in_halves = head + lane % 2 * half + lane / 2;  // of the interleaved lane `lane`
    const auto [source, target] = from == RopePairing::half ? std::pair(in_halves, row) : std::pair(row, in_halves);
    std::copy_n(weight.data.begin() + source * width, width, result.data.begin() + target * width);
  }
  weight = std::move(result);
}

std::string_view pairing_name(RopePairing pairing) { return pairing == RopePairing::half ? "half" : "interleaved"; }

}  // namespace aneval::validate
