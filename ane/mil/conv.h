// A 1x1 convolution as the engine's compiler wants it: a matrix product of a weight with the channels of every column.
#pragma once

#include <optional>
#include <string>

#include "ane/mil/builder.h"

namespace aneval::mil {

/// x [1, C, 1, S] and weight [N, C, 1, 1] -> [1, N, 1, S] = weight·x (+ bias [N]), with every argument written out. The
/// weight may be any value of the program; M4 refuses a bias in MIL text (Orion).
Value conv_1x1(Builder& builder, const Value& x, const Value& weight, const std::optional<Value>& bias,
               const std::string& name);

}  // namespace aneval::mil
