// A variant: the choices that change a kernel's layout, program or mathematics without changing what a layer means.
// A value in a case, so that a sweep is a product of values. To add a choice: an enum, a member, a row in variant.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace aneval::ane {

/// Key/value head of query head j: grouped j / R (Hugging Face), cyclic j mod G in every kernel, cyclic_fwd cyclic in
/// sdpaFwd only: the defect of the seed project, kept so that it can be shown to be found.
enum class HeadMap { grouped, cyclic, cyclic_fwd };
/// Where 1/sqrt(h) is applied: as a multiplication in the programs, or folded into the staged Wq.
enum class ScoreScale { multiply, folded };
/// Order of the slots along the last axis.
enum class Packing { acts_first, weights_first };
/// How sdpaBwd2 sums a row: reduce_sum, or a matmul with a vector of ones (the wide accumulator).
enum class RowSum { reduce, matmul };
/// multiple_of_32: every slot width, every contraction and S rounded up to a multiple of 32.
enum class Pad { none, multiple_of_32 };
/// Where weights come from: slots of the input surface, or ("static") constants of the program, as the pipelines before
/// the dynamic ones had them: then every update of a layer's weights compiles its kernels again.
/// int8: constants of 8 bits, dequantized by the program. w8a8: activations quantized to 8 bits as well.
enum class Weights { dynamic, compiled, int8, w8a8 };
/// A product with weights as matmul, or as a 1x1 convolution whose weight is sliced from the packed input.
enum class Product { matmul, conv };
/// The three projections of sdpaFwd as three products, or as one over adjacent slots.
enum class QkvProducts { three, one };
/// Transposed operands of a matmul by the op transpose, or by the matmul's flags.
enum class Transposes { ops, flags };
/// Causal attention by adding a mask to all scores, or by tiles of queries that see only the keys up to their end.
enum class Causal { mask, tiles };
/// RoPE on a last axis of pairs, without one, or on the CPU.
enum class Rope { pairs, planar, cpu };
/// How weight tensors are read for the surfaces they go to: forward and backward slots of a tensor, of which one holds
/// the transpose, together, or once for each slot.
enum class WeightPasses { per_tensor, per_slot };
/// How an activation goes from one kernel to the next: read to fp32 and written again, copied as fp16 from surface to
/// surface, or by a surface that is the output of the one and the input of the other.
enum class Handover { fp32, copy, share };
/// How a layer is cut into programs (docs/variants.md). These change its plan, and no kernel.
/// sdpaBwd1 and sdpaBwd2, or both in sdpaBwd.
enum class AttentionBackward { split, fused };
/// qBwd, kvBwd and the CPU's sum, or all three products in qkvBwd.
enum class QkvBackward { split, merged };
/// The gradient of the gate: on the CPU before ffnBwdW13t, or in ffnBwdSiluW13t.
enum class SiluBackward { cpu, kernel };
/// ffnFused; ffnUpGate and ffnDown; or ffnUp, the gate on the CPU, and ffnDown.
enum class FeedForward { fused, split, cpu_gate };
/// woFwd after sdpaFwd, or both in sdpaWoFwd.
enum class OutputProjection { separate, fused };

struct Variant {
  HeadMap head_map = HeadMap::grouped;
  ScoreScale score_scale = ScoreScale::multiply;
  Packing packing = Packing::acts_first;
  RowSum row_sum = RowSum::reduce;
  Pad pad = Pad::none;
  Weights weights = Weights::dynamic;
  Product product = Product::matmul;
  QkvProducts qkv = QkvProducts::three;
  Transposes transposes = Transposes::ops;
  Causal causal = Causal::mask;
  Rope rope = Rope::pairs;
  WeightPasses staging = WeightPasses::per_tensor;
  Handover handover = Handover::fp32;
  AttentionBackward attention_backward = AttentionBackward::split;
  QkvBackward qkv_backward = QkvBackward::split;
  SiluBackward silu_backward = SiluBackward::cpu;
  FeedForward ffn = FeedForward::fused;
  OutputProjection wo = OutputProjection::separate;

  bool operator==(const Variant&) const = default;
};

/// What a choice changes: the form of kernels (layout, program, numbers), or which kernels a layer is cut into.
enum class ChoiceKind { form, cut };

/// One choice: its key, its values (the first is the default) and what it trades.
struct VariantChoice {
  std::string_view key;
  std::vector<std::string_view> values;
  std::string_view trade;
  std::function<std::size_t(const Variant&)> get;
  std::function<void(Variant&, std::size_t)> set;
  ChoiceKind kind = ChoiceKind::form;
};

const std::vector<VariantChoice>& variant_choices();

/// "key=value;key=value" of everything that differs from the default, in table order; "default" when nothing does.
std::string variant_text(const Variant& variant);

/// Reads what variant_text writes, any order. Errors name the unknown key or value and the nearest known one, or the
/// choices that contradict each other (variant_rules.h).
Variant parse_variant(std::string_view text);

/// Applies one key=value.
void set_choice(Variant& variant, std::string_view key, std::string_view value);

}  // namespace aneval::ane
