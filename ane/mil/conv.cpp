#include "ane/mil/conv.h"

#include <utility>
#include <vector>

namespace aneval::mil {

Value conv_1x1(Builder& builder, const Value& x, const Value& weight, const std::optional<Value>& bias,
               const std::string& name) {
  std::vector<std::pair<std::string, Value>> arguments = {{"x", x},
                                                          {"weight", weight},
                                                          {"strides", builder.ints({1, 1}, "strides")},
                                                          {"pad_type", builder.text("valid", "pad_type")},
                                                          {"pad", builder.ints({0, 0, 0, 0}, "pad")},
                                                          {"dilations", builder.ints({1, 1}, "dilations")},
                                                          {"groups", builder.integer(1, "groups")}};
  if (bias) arguments.emplace_back("bias", *bias);
  return builder.op("conv", std::move(arguments), name);
}

}  // namespace aneval::mil
