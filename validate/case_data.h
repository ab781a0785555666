// The tensors of a case: model weights in their natural orientation and activation slots, from the case's seed alone.
#pragma once

#include "ane/packed_layout.h"
#include "common/tensor.h"
#include "validate/case.h"

namespace aneval::validate {

struct CaseData {
  NamedTensors weights;      // wq [Q, D], …: what staging starts from
  NamedTensors activations;  // by slot name, [channels, S]
};

/// Queries, keys and values on a kernel's surface: q, k_tiled and v_tiled, or q_rope, k_rope and v. Null for what it
/// has not.
struct AttentionSlots {
  Tensor *q = nullptr, *k = nullptr, *v = nullptr;
};
AttentionSlots attention_slots(CaseData& data);

/// Slots that begin with d hold gradients.
bool is_gradient(std::string_view slot);

/// Every gradient slot times a loss scale; the backward pass is linear in them.
void scale_gradients(CaseData& data, double factor);

/// Activations N(0, amp²); weights N(0, 1/fan_in); gradients (slots named d…) N(0, (amp·grad)²); probs a causal
/// softmax. The structured kinds start from those numbers (case_data_structured.h). Exact cases: integers whose
/// products and sums no format rounds, and for attention queries that pick one key each. Errors: data=real and
/// data=init (they come from a model).
CaseData make_case_data(const Case& c, const ane::PackedLayout& layout);

}  // namespace aneval::validate
