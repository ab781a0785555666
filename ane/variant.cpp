// The table of choices, and their texts.
#include "ane/variant.h"

#include <algorithm>

#include "ane/variant_rules.h"
#include "common/names.h"

namespace aneval::ane {
namespace {

/// Values are listed in the order of the enum.
template <class Enum>
VariantChoice choice(std::string_view key, Enum Variant::* member, std::vector<std::string_view> values,
                     std::string_view trade, ChoiceKind kind = ChoiceKind::form) {
  return {key,
          std::move(values),
          trade,
          [member](const Variant& variant) { return static_cast<std::size_t>(variant.*member); },
          [member](Variant& variant, std::size_t value) { variant.*member = static_cast<Enum>(value); },
          kind};
}

std::vector<std::string> texts(const std::vector<std::string_view>& names) { return {names.begin(), names.end()}; }

}  // namespace

const std::vector<VariantChoice>& variant_choices() {
  static const std::vector<VariantChoice> choices = {
      choice("head_map", &Variant::head_map, {"grouped", "cyclic", "cyclic_fwd"},
             "key/value head of query head j: j / R as Hugging Face's weights want, j mod G for models trained that "
             "way, or j mod G in sdpaFwd alone, which is a defect kept to be found"),
      choice(
          "score_scale", &Variant::score_scale, {"multiply", "folded"},
          "1/sqrt(h) as a multiplication of the scores, or staged into Wq: fewer operations, exact only for h = 4^n"),
      choice("packing", &Variant::packing, {"acts_first", "weights_first"},
             "order of the slots along the width: decides which part of a row an activation update touches"),
      choice("row_sum", &Variant::row_sum, {"reduce", "matmul"},
             "how sdpaBwd2 sums a row: reduce_sum, or a matmul with ones, which has the wider accumulator"),
      choice("pad", &Variant::pad, {"none", "32"},
             "axes as they are, or rounded up to multiples of 32: larger surfaces, but any shape fits the engine"),
      choice("weights", &Variant::weights, {"dynamic", "static", "int8", "w8a8"},
             "slots of the input surface, so that nothing recompiles, or constants compiled into the program of each "
             "layer, which every update makes anew: of fp16; of 8 bits in the forward kernels; with activations of 8 "
             "bits as well and products of integers"),
      choice("qkv", &Variant::qkv, {"three", "one"},
             "the projections of sdpaFwd as three products, or as one of the width of all that is cut into queries, "
             "keys and values: fewer and wider operations"),
      choice("causal", &Variant::causal, {"mask", "tiles"},
             "scores of all pairs, masked, or of tiles of 128 queries with the keys up to their end: fewer products, "
             "more and smaller operations"),
      choice(
          "rope", &Variant::rope, {"pairs", "planar", "cpu"},
          "RoPE's neighbours as a last axis of 2, whose rows are padded to 64 bytes and capped at S*h/2; as an axis "
          "above the tokens: rows of whole sequences, the same numbers; or in fp32 on the CPU between two programs: a "
          "dispatch more, queries and keys written once more"),
      choice(
          "product", &Variant::product, {"matmul", "conv"},
          "products with weights as matmul, or as 1x1 convolution: activations need no transposing, the weight of the "
          "surface does, and a compiled one is the convolution's own"),
      choice("transposes", &Variant::transposes, {"explicit", "flags"},
             "operands of a matmul turned by an operation before it, or by its transpose flags: fewer operations and "
             "intermediate tensors"),
      choice(
          "qkv_backward", &Variant::qkv_backward, {"split", "merged"},
          "the gradients through Wq, Wk and Wv as two programs and a sum on the CPU, or as one product of one program: "
          "a dispatch and a read less, one rounding of the sum instead of three",
          ChoiceKind::cut),
      choice("silu_backward", &Variant::silu_backward, {"cpu", "kernel"},
             "the gradient of the gate in fp32 on the CPU, or in the program of W1 and W3: h1, h3 are written and dh1, "
             "dh3 read once more, and the sigmoid is the engine's",
             ChoiceKind::cut),
      choice("ffn", &Variant::ffn, {"fused", "split", "cpu_gate"},
             "the feed-forward block as one program, as two with g on a surface between them, or with SiLU and gate in "
             "fp32 on the CPU: smaller surfaces, more dispatches",
             ChoiceKind::cut),
      choice("attention_backward", &Variant::attention_backward, {"split", "fused"},
             "attention's backward as two programs with 2HS rows between them on surfaces, or as one: a dispatch and "
             "the probabilities' way through memory less",
             ChoiceKind::cut),
      choice("staging", &Variant::staging, {"per_tensor", "per_slot"},
             "forward and backward slots of a weight staged in one pass over the tensor, or one after the other: less "
             "memory traffic, the same bits"),
      choice("handover", &Variant::handover, {"fp32", "copy", "share"},
             "activations between kernels by way of fp32 tensors, copied in fp16 from surface to surface, or also "
             "sdpaBwd2 on the very surface that sdpaBwd1 leaves, which then passes q and k_tiled through: fewer bytes "
             "and conversions, the same bits"),
      choice("wo", &Variant::wo, {"separate", "fused"},
             "the output projection as a program of its own, or inside sdpaFwd: a dispatch and a write of attn less",
             ChoiceKind::cut),
  };
  return choices;
}

std::string variant_text(const Variant& variant) {
  std::string text;
  for (const VariantChoice& choice : variant_choices()) {
    const std::size_t value = choice.get(variant);
    if (value == 0) continue;
    if (!text.empty()) text += ';';
    text.append(choice.key).append("=").append(choice.values[value]);
  }
  return text.empty() ? "default" : text;
}

Variant parse_variant(std::string_view text) {
  Variant variant;
  if (text.empty() || text == "default") return variant;
  for (const auto& [key, value] : parse_pairs(text, "variant")) set_choice(variant, key, value);
  check_variant(variant);
  return variant;
}

void set_choice(Variant& variant, std::string_view key, std::string_view value) {
  std::vector<std::string> keys;
  for (const VariantChoice& choice : variant_choices()) {
    keys.emplace_back(choice.key);
    if (choice.key != key) continue;
    const auto found = std::find(choice.values.begin(), choice.values.end(), value);
    if (found == choice.values.end()) unknown_name("variant " + std::string(key), value, texts(choice.values));
    return choice.set(variant, static_cast<std::size_t>(found - choice.values.begin()));
  }
  unknown_name("variant", key, keys);
}

}  // namespace aneval::ane
