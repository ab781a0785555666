// The real inputs of every kernel: what a model's forward and backward pass over real tokens puts onto its surfaces.
#pragma once

#include <string>
#include <vector>

#include "reference/model.h"
#include "validate/case_data.h"

namespace aneval::validate {

/// The kernel's weights and activation slots at one layer of the trace, under the case's variant: tiled keys and
/// values, queries and their gradients scaled as a folded score scale has them. Slot names are resolved through the
/// layer plan.
CaseData real_case_data(const Case& c, const ane::PackedLayout& layout, const reference::LayerTrace& trace);

/// x, dy and the weights of a layer of the trace, dy times the case's loss scale: what check_layer takes.
NamedTensors real_layer_tensors(const Case& c, const reference::LayerTrace& trace);

}  // namespace aneval::validate
