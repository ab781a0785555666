#include "ane/emulator/plan.h"

#include <algorithm>
#include <unordered_map>

#include "ane/emulator/operand.h"
#include "ane/emulator/plan_eight_bits.h"
#include "ane/emulator/planner.h"
#include "common/error.h"

namespace aneval::emulator {
namespace {

const std::unordered_map<std::string_view, Function>& unary_functions() {
  static const std::unordered_map<std::string_view, Function> table = {
      {"cast", Function::cast},     {"sigmoid", Function::sigmoid}, {"tanh", Function::tanh},
      {"exp", Function::exp},       {"sqrt", Function::sqrt},       {"rsqrt", Function::rsqrt},
      {"square", Function::square}, {"silu", Function::silu},       {"relu", Function::relu}};
  return table;
}

const std::unordered_map<std::string_view, Function>& binary_functions() {
  static const std::unordered_map<std::string_view, Function> table = {
      {"add", Function::add},         {"sub", Function::sub},
      {"mul", Function::mul},         {"real_div", Function::real_div},
      {"maximum", Function::maximum}, {"minimum", Function::minimum},
      {"pow", Function::pow}};
  return table;
}

const std::unordered_map<std::string_view, Function>& reduce_functions() {
  static const std::unordered_map<std::string_view, Function> table = {
      {"reduce_sum", Function::sum}, {"reduce_mean", Function::mean}, {"reduce_max", Function::max}};
  return table;
}

bool same(const Operand& a, const Operand& b) {
  const auto equal = [](const Extents& x, const Extents& y) {
    return x.rank == y.rank && std::equal(x.at.begin(), x.at.begin() + x.rank, y.at.begin());
  };
  return a.buffer == b.buffer && a.offset == b.offset && equal(a.shape, b.shape) && equal(a.strides, b.strides);
}

}  // namespace

Plan Planner::run() {
  plan_.file = program_.file;
  for (const mil::Parameter& parameter : function_.parameters) {
    scope_.add(parameter);
    require_float(parameter.type, parameter.location, "input '" + parameter.name + "'");
    const Operand operand = new_buffer(parameter.type, parameter.location);
    values_[parameter.name] = operand;
    plan_.inputs.push_back({parameter.name, operand});
  }
  for (const mil::Operation& operation : function_.operations) {
    plan_operation(operation);
    scope_.add(operation);
  }
  for (const std::string& result : function_.results) {
    const Operand& value = values_.at(result);
    require_float({value.dtype, {}}, function_.results_location, "output '" + result + "'");
    plan_.outputs.push_back({result, value.contiguous() ? value : moved(StepKind::copy, value, result, {})});
  }
  drop_unread(plan_);
  return std::move(plan_);
}

void Planner::fail(const mil::Location& location, const std::string& reason, const std::string& remedy) const {
  throw input_error(program_.file + ":" + std::to_string(location.line) + ":" + std::to_string(location.column), reason,
                    remedy);
}

void Planner::require_float(const mil::TensorType& type, const mil::Location& location, const std::string& what) const {
  if (type.dtype != mil::DType::fp16 && type.dtype != mil::DType::fp32)
    fail(location, what + " of type " + std::string(mil::dtype_name(type.dtype)),
         "the emulator takes and gives fp16 and fp32 tensors: quantize and dequantize inside the program");
}

Operand Planner::new_buffer(const mil::TensorType& type, const mil::Location& location) {
  if (static_cast<int>(type.shape.size()) > kMaxRank)
    fail(location, "a tensor of rank " + std::to_string(type.shape.size()),
         "the emulator runs ranks up to " + std::to_string(kMaxRank));
  if (type.dtype != mil::DType::fp16 && type.dtype != mil::DType::fp32 && type.dtype != mil::DType::int8 &&
      type.dtype != mil::DType::uint8)
    fail(location, "a computed tensor of type " + std::string(mil::dtype_name(type.dtype)),
         "the emulator computes fp16 and fp32 tensors, and quantizes them to 8 bits");
  Operand operand;
  operand.buffer = static_cast<int>(plan_.buffers.size());
  operand.shape = extents_of(type.shape);
  operand.strides = contiguous_strides(operand.shape);
  operand.dtype = type.dtype;
  plan_.buffers.push_back(type.elements());
  return operand;
}

Operand Planner::value(const mil::Operation& operation, std::string_view key, std::size_t index) {
  const std::string& id = operation.find(key)->values.at(index);
  if (const auto known = values_.find(id); known != values_.end()) return known->second;
  const mil::Literal& literal = *scope_.find(id)->literal;
  const Operand operand = new_buffer(literal.type, operation.location);
  values_[id] = operand;
  const bool from_file = std::holds_alternative<mil::BlobFile>(literal.value);
  plan_.constants.push_back({id, operand, constant_values(literal, weights_), from_file});
  return operand;
}

Operand Planner::moved(StepKind kind, const Operand& source, const std::string& result, const mil::Location& location) {
  Operand target;
  target.buffer = static_cast<int>(plan_.buffers.size());
  target.shape = source.shape;
  target.strides = contiguous_strides(source.shape);
  target.dtype = source.dtype;
  plan_.buffers.push_back(source.shape.product());
  Step step;
  step.kind = kind;
  step.inputs = {source};
  step.output = target;
  step.result = result;
  step.location = location;
  plan_.steps.push_back(std::move(step));
  return target;
}

void Planner::emit(const mil::Operation& operation, StepKind kind, Function function, std::vector<Operand> inputs,
                   Operand output, int reduced, const ConvParameters& conv) {
  Step step;
  step.kind = kind;
  step.function = function;
  step.inputs = std::move(inputs);
  step.output = output;
  step.reduced = reduced;
  step.conv = conv;
  step.result = operation.result;
  step.location = operation.location;
  if (kind == StepKind::binary) relate(step);
  plan_.steps.push_back(std::move(step));
}

void Planner::relate(Step& step) const {
  if (same(step.inputs[0], step.inputs[1])) step.related = Function::cast;
  for (std::size_t argument = 0; argument < 2; ++argument)
    for (const Step& made : plan_.steps)
      if (made.kind == StepKind::unary && same(made.output, step.inputs[1 - argument]) &&
          same(made.inputs[0], step.inputs[argument])) {
        step.related = made.function;
        step.argument = argument;
      }
}

void Planner::plan_operation(const mil::Operation& operation) {
  const std::string_view op = operation.op;
  if (op == "const") return;
  const mil::Arguments arguments = mil::resolve_arguments(scope_, operation);
  if (op == "constexpr_affine_dequantize") {
    plan_eight_bit_constant(operation, arguments);
  } else if (op == "quantize" || op == "dequantize") {
    plan_quantization(operation, arguments);
  } else if (const auto unary = unary_functions().find(op); unary != unary_functions().end()) {
    const Operand out = new_buffer(operation.type, operation.location);
    emit(operation, StepKind::unary, unary->second, {value(operation, "x")}, out);
    values_[operation.result] = out;
  } else if (const auto binary = binary_functions().find(op); binary != binary_functions().end()) {
    const Operand out = new_buffer(operation.type, operation.location);
    emit(operation, StepKind::binary, binary->second,
         {broadcast_to(value(operation, "x"), out.shape), broadcast_to(value(operation, "y"), out.shape)}, out);
    values_[operation.result] = out;
  } else if (const auto reduce = reduce_functions().find(op); reduce != reduce_functions().end()) {
    plan_reduce(operation, arguments, reduce->second);
  } else if (op == "softmax") {
    plan_softmax(operation, arguments);
  } else if (op == "matmul") {
    plan_matmul(operation, arguments);
  } else if (op == "conv") {
    plan_conv(operation, arguments);
  } else if (op == "concat") {
    plan_concat(operation, arguments);
  } else if (!plan_view(operation, arguments)) {
    fail(operation.location, "the emulator has no rule for operation '" + operation.op + "'",
         "write it with operations that `aneval mil check` accepts and the emulator runs");
  }
}

bool Planner::plan_view(const mil::Operation& operation, const mil::Arguments& arguments) {
  const std::string_view op = operation.op;
  const Extents shape = extents_of(operation.type.shape);
  if (op == "reshape" || op == "expand_dims" || op == "squeeze") {
    Operand source = value(operation, "x");
    Extents strides;
    if (!reshaped_strides(source, shape, strides)) {
      source = moved(StepKind::copy, source, operation.result, operation.location);
      strides = contiguous_strides(shape);
    }
    source.shape = shape;
    source.strides = strides;
    values_[operation.result] = source;
    return true;
  }
  if (op == "transpose") {
    const Operand x = value(operation, "x");
    std::vector<std::int64_t> perm = arguments.ints("perm");
    for (std::int64_t& axis : perm) axis = normal_axis(axis, x.shape.rank);
    values_[operation.result] = permuted(x, perm);
    return true;
  }
  if (op == "slice_by_size" || op == "slice_by_index") {
    Operand source = value(operation, "x");
    const std::vector<std::int64_t> begin = arguments.ints("begin");
    const std::vector<std::int64_t> stride =
        arguments.has("stride") ? arguments.ints("stride") : std::vector<std::int64_t>(begin.size(), 1);
    if (arguments.has("begin_mask") || arguments.has("squeeze_mask"))
      fail(operation.location, "the emulator has no rule for masks of slice_by_index", "state begin and end in full");
    std::int64_t first = 0;  // on the last axis
    for (int axis = 0; axis < source.shape.rank; ++axis) {
      const auto i = static_cast<std::size_t>(axis);
      first = begin[i] < 0 ? begin[i] + source.shape[axis] : begin[i];
      source.offset += first * source.strides[axis];
      source.strides[axis] *= stride[i];
    }
    source.shape = shape;
    if (first != 0) {
      plan_.slices.push_back({operation.result, source});
      if (slice_gain_) source = moved(StepKind::slice, source, operation.result, operation.location);
    }
    values_[operation.result] = source;
    return true;
  }
  return false;
}

void Planner::plan_reduce(const mil::Operation& operation, const mil::Arguments& arguments, Function function) {
  const Operand x = value(operation, "x");
  std::vector<std::int64_t> axes;
  if (arguments.has("axes"))
    for (const std::int64_t axis : arguments.ints("axes")) axes.push_back(normal_axis(axis, x.shape.rank));
  else
    for (std::int64_t axis = 0; axis < x.shape.rank; ++axis) axes.push_back(axis);
  std::sort(axes.begin(), axes.end());
  const Operand out = new_buffer(operation.type, operation.location);
  const Operand turned = permuted(x, axes_last(axes, x.shape.rank));
  Operand flat = out;  // the output without the axes that keep_dims leaves behind
  flat.shape.rank = turned.shape.rank - static_cast<int>(axes.size());
  for (int i = 0; i < flat.shape.rank; ++i) flat.shape[i] = turned.shape[i];
  flat.strides = contiguous_strides(flat.shape);
  emit(operation, StepKind::reduce, function, {turned}, flat, static_cast<int>(axes.size()));
  values_[operation.result] = out;
}

void Planner::plan_softmax(const mil::Operation& operation, const mil::Arguments& arguments) {
  const Operand x = value(operation, "x");
  const Operand out = new_buffer(operation.type, operation.location);
  const std::int64_t axis = normal_axis(arguments.integer("axis", -1), x.shape.rank);
  const auto perm = axes_last({axis}, x.shape.rank);
  emit(operation, StepKind::softmax, Function::none, {permuted(x, perm)}, permuted(out, perm));
  values_[operation.result] = out;
}

void Planner::plan_concat(const mil::Operation& operation, const mil::Arguments& arguments) {
  const std::size_t count = operation.find("values")->values.size();
  const Operand out = new_buffer(operation.type, operation.location);
  const int axis = static_cast<int>(normal_axis(arguments.integer("axis"), out.shape.rank));
  const bool interleave = arguments.boolean("interleave", false);
  std::int64_t at = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const Operand part = value(operation, "values", i);
    Operand target = out;
    target.shape = part.shape;
    if (interleave) {  // out[n·i + part] along the axis
      target.offset += static_cast<std::int64_t>(i) * out.strides[axis];
      target.strides[axis] *= static_cast<std::int64_t>(count);
    } else {
      target.offset += at * out.strides[axis];
      at += part.shape[axis];
    }
    emit(operation, StepKind::copy, Function::none, {part}, target);
  }
  values_[operation.result] = out;
}

Plan make_plan(const mil::Program& program, const ane::WeightFiles& weights, bool slice_gain) {
  return Planner(program, weights, slice_gain).run();
}

}  // namespace aneval::emulator
