// Products with weights, in the form that the variant chooses: the second half of Parts (parts.h tells the shapes).
#include "ane/kernels/parts.h"
#include "ane/mil/conv.h"

namespace aneval::ane {

using mil::Shape;
using mil::Value;

namespace {

/// A matrix of that many rows and columns, transposed.
std::vector<half_t> transposed(const std::vector<half_t>& bits, std::int64_t rows, std::int64_t columns) {
  std::vector<half_t> turned(bits.size());
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c)
      turned[static_cast<std::size_t>(c * rows + r)] = bits[static_cast<std::size_t>(r * columns + c)];
  return turned;
}

}  // namespace

std::string turned_name(std::string_view slot) { return std::string(slot) + "_turned"; }

Value Parts::rows(const Value& x, std::string_view name) {
  if (by_conv()) return x;
  const std::string base(name);
  const Value channels = builder_.reshape(x, {1, 1, x.type.shape[1], x.type.shape[3]}, base + "_rows");
  return by_flags() ? channels : turned(channels, base + "_t");
}

Value Parts::channels_first(const Value& rows, std::string_view name) {
  if (by_conv()) return rows;
  const Value channels = by_flags() ? rows : turned(rows, std::string(name) + "_c");
  return builder_.reshape(channels, {1, channels.type.shape[2], 1, channels.type.shape[3]}, name);
}

/// A weight [1, C, 1, N] of the surface or the program, for product().
ProductWeight Parts::weight_of(const Value& slot, SummedAxis summed) {
  const std::int64_t channels = slot.type.shape[1], width = slot.type.shape[3];
  const bool over_width = summed == SummedAxis::width;
  if (by_conv() && over_width) return {builder_.reshape(slot, {channels, width, 1, 1}, slot.id + "_filters"), {}};
  const Value matrix = builder_.reshape(slot, {1, 1, channels, width}, slot.id + "_m");
  if (by_conv())  // a convolution has no flag
    return {builder_.reshape(turned(matrix, turned_name(slot.id)), {width, channels, 1, 1}, slot.id + "_filters"), {}};
  if (by_flags()) return {matrix, summed};
  return {over_width ? turned(matrix, turned_name(slot.id)) : matrix, {}};
}

/// A compiled weight as the constant weight of a convolution.
Value Parts::compiled_filters(const Slot& slot, SummedAxis summed) {
  const std::int64_t channels = slot.channels.padded_size(), width = slot.width.padded_size();
  const bool as_it_lies = summed == SummedAxis::width;
  const Shape shape = as_it_lies ? Shape{channels, width, 1, 1} : Shape{width, channels, 1, 1};
  const std::string name = as_it_lies ? slot.name : turned_name(slot.name);
  if (config_.shapes_only) return builder_.absent_weights(name, shape);
  const std::vector<half_t> bits = compiled_bits(slot);
  return builder_.weight_bits(name, shape, as_it_lies ? bits : transposed(bits, channels, width));
}

/// Whether the program holds that weight as the constant of a convolution. One of 8 bits is turned by operations: its
/// scales belong to the axis it lies along.
bool Parts::has_filters(std::string_view slot) const {
  const Slot* compiled = by_conv() ? compiled_slot(slot) : nullptr;
  return compiled != nullptr && !compiled->eight_bits;
}

ProductWeight Parts::weight(std::string_view name, SummedAxis summed) {
  if (has_filters(name)) return {compiled_filters(*compiled_slot(name), summed), {}};
  return weight_of(slot(name), summed);
}

ProductWeight Parts::stacked_weight(const std::vector<std::string_view>& slots, std::string_view name) {
  if (!has_filters(slots.front())) return weight_of(stack(slots, name), SummedAxis::channels);
  std::vector<Value> filters;
  for (const std::string_view slot : slots)
    filters.push_back(compiled_filters(*compiled_slot(slot), SummedAxis::channels));
  return {builder_.concat(filters, 1, false, name), {}};
}

ProductWeight Parts::beside_weight(const std::vector<std::string_view>& slots, std::string_view name) {
  if (!has_filters(slots.front())) return weight_of(beside(slots, name), SummedAxis::channels);
  std::vector<Value> filters;
  for (const std::string_view slot : slots)
    filters.push_back(compiled_filters(*compiled_slot(slot), SummedAxis::channels));
  return {builder_.concat(filters, 0, false, name), {}};
}

Value Parts::product(const Value& rows, const ProductWeight& weight, std::string_view name) {
  if (by_conv()) return mil::conv_1x1(builder_, rows, weight.value, std::nullopt, std::string(name));
  if (by_flags()) return builder_.matmul(weight.value, rows, weight.summed == SummedAxis::channels, false, name);
  return builder_.matmul(rows, weight.value, false, false, name);
}

Value Parts::project(std::string_view activation, std::string_view weight_slot, std::string_view name) {
  const Value act = rows(multiplicand(slot(activation), activation), activation);
  return product(act, weight(weight_slot), name);
}

}  // namespace aneval::ane
