// Questions as programs: one per operation, its questions side by side in one input, everything else zero.
#include <algorithm>
#include <cmath>

#include "ane/compiled_kernel.h"
#include "ane/mil/conv.h"
#include "common/error.h"
#include "validate/probe/probe.h"
#include "validate/probe/small_program.h"

namespace aneval::validate {
namespace {

using ane::half_t;
using mil::Builder;
using mil::Shape;
using mil::Value;

half_t bits_of(float value) { return std::isnan(value) ? half_t{0x7E00} : ane::to_half(value); }

/// [1, channels, 1, width], one evaluation's input.
struct Input {
  explicit Input(const Shape& shape)
      : width(static_cast<std::size_t>(shape[3])), bits(static_cast<std::size_t>(shape[1] * shape[3])) {}
  void put(std::size_t channel, std::size_t column, float value) { bits[channel * width + column] = bits_of(value); }

  std::size_t width;
  std::vector<half_t> bits;
};

/// A program with its inputs, and where the questions' answers lie in the outputs.
struct Experiment {
  struct Place {
    std::size_t evaluation, first, count;
  };
  mil::BuiltProgram program;
  std::vector<Input> inputs;
  std::vector<std::vector<Place>> places;  // by question: one run of elements, of functions one per evaluation
};

using Questions = std::vector<const Question*>;

/// Asking more at once is a mistake of the table, never of a user.
void require_room(const Questions& questions, std::size_t most, std::size_t numbers, std::size_t most_numbers) {
  if (questions.size() > most || numbers > most_numbers) throw std::logic_error("probe: too much for one program");
}

std::size_t longest(const Questions& questions) {
  std::size_t most = 0;
  for (const Question* q : questions) most = std::max(most, q->x.size());
  return most;
}

/// Column q of the left half times column q of the right one: y = xᵀ·w, answers on the diagonal. Large numbers stand on
/// the left: M1's slices lose them on the right.
Experiment matmuls(const Questions& questions) {
  constexpr std::int64_t kSide = 64;
  const auto depth = static_cast<std::int64_t>((longest(questions) + 31) / 32 * 32);
  const std::int64_t k = std::max<std::int64_t>(depth, 256);  // at least 64 KiB
  require_room(questions, kSide, 0, 0);
  Builder b;
  const Shape shape = {1, k, 1, 2 * kSide};
  const Value in = b.input("packed", shape);
  const auto half = [&](std::int64_t begin, const std::string& name) {
    return b.reshape(b.slice(in, {0, 0, 0, begin}, {1, k, 1, kSide}, name), {1, 1, k, kSide}, name + "_rows");
  };
  const Value left = b.transpose(half(0, "left"), {0, 1, 3, 2}, "left_turned");
  const Value result = b.matmul(left, half(kSide, "right"), false, false, "product");
  Experiment e{b.finish(b.reshape(result, {1, kSide, 1, kSide}, "flat"), "out"), {Input(shape)}, {}};
  for (std::size_t q = 0; q < questions.size(); ++q) {
    for (std::size_t i = 0; i < questions[q]->x.size(); ++i) {
      e.inputs[0].put(i, q, questions[q]->x[i]);
      e.inputs[0].put(i, kSide + q, questions[q]->w[i]);
    }
    e.places.push_back({{0, q * kSide + q, 1}});
  }
  return e;
}

/// A 1x1 convolution with weights and biases in files: output channel q on column q.
Experiment convs(const Questions& questions) {
  constexpr std::int64_t kChannels = 64, kColumns = 512;
  require_room(questions, kChannels, longest(questions), kChannels);
  Builder b;
  const Shape shape = {1, kChannels, 1, kColumns};
  std::vector<double> weights(kChannels * kChannels), biases(kChannels);
  Input input(shape);
  std::vector<std::vector<Experiment::Place>> places;
  for (std::size_t q = 0; q < questions.size(); ++q) {
    for (std::size_t i = 0; i < questions[q]->x.size(); ++i) {
      input.put(i, q, questions[q]->x[i]);
      weights[q * kChannels + i] = static_cast<double>(questions[q]->w[i]);
    }
    biases[q] = static_cast<double>(questions[q]->bias);
    places.push_back({{0, q * kColumns + q, 1}});
  }
  const Value in = b.input("packed", shape);
  const Value result = conv_1x1(b, in, b.weights("weight", {kChannels, kChannels, 1, 1}, weights),
                                b.weights("bias", {kChannels}, biases), "conv");
  return {b.finish(result, "out"), {std::move(input)}, std::move(places)};
}

/// Two blocks of 32 channels: x above w; functions take the upper one.
constexpr std::int64_t kBlockChannels = 32, kBlockColumns = 512;
constexpr std::size_t kBlock = kBlockChannels * kBlockColumns;

Shape two_blocks() { return {1, 2 * kBlockChannels, 1, kBlockColumns}; }
Value block(Builder& b, const Value& in, std::int64_t first, const char* name) {
  return b.slice(in, {0, first, 0, 0}, {1, kBlockChannels, 1, kBlockColumns}, name);
}

Experiment pairs(ProbeOp op, const Questions& questions) {
  require_room(questions, kBlock, longest(questions), 1);
  Builder b;
  const Value in = b.input("packed", two_blocks());
  const Value x = block(b, in, 0, "upper"), w = block(b, in, kBlockChannels, "lower");
  const Value result = b.op(probe_op_name(op), {{"x", x}, {"y", w}}, "result");
  Experiment e{b.finish(result, "out"), {Input(two_blocks())}, {}};
  for (std::size_t q = 0; q < questions.size(); ++q) {
    e.inputs[0].bits[q] = bits_of(questions[q]->x[0]);
    e.inputs[0].bits[kBlock + q] = bits_of(questions[q]->w[0]);
    e.places.push_back({{0, q, 1}});
  }
  return e;
}

/// Every bit pattern, in four evaluations; 0 in the place of those that are not finite.
Experiment function_values(ProbeOp op, const Questions& questions) {
  constexpr std::size_t kEvaluations = 65536 / kBlock;
  require_room(questions, 1, 0, 0);
  Builder b;
  const Value in = b.input("packed", two_blocks());
  Experiment e{b.finish(b.op(probe_op_name(op), {{"x", block(b, in, 0, "upper")}}, "result"), "out"),
               std::vector<Input>(kEvaluations, Input(two_blocks())),
               {{}}};
  for (std::size_t evaluation = 0; evaluation < kEvaluations; ++evaluation) {
    for (std::size_t i = 0; i < kBlock; ++i) {
      const auto bits = static_cast<half_t>(evaluation * kBlock + i);
      const bool finite = (bits & 0x7C00) != 0x7C00;
      e.inputs[evaluation].bits[i] = finite ? bits : half_t{0};
    }
    e.places[0].push_back({evaluation, 0, kBlock});
  }
  return e;
}

/// Rows of 1024 in the upper 16 channels, summed and spread again by a product with the ones below them.
Experiment sums(const Questions& questions) {
  constexpr std::int64_t kRows = 16, kWidth = 1024;
  require_room(questions, kRows, longest(questions), kWidth);
  Builder b;
  const Shape shape = {1, 2 * kRows, 1, kWidth};
  const Value in = b.input("packed", shape);
  const Value rows = b.slice(in, {0, 0, 0, 0}, {1, kRows, 1, kWidth}, "rows");
  const Value ones = b.slice(in, {0, kRows, 0, 0}, {1, kRows, 1, kWidth}, "ones");
  const Value sum = b.reduce_sum(rows, {-1}, true, "sums");
  Experiment e{b.finish(b.mul(sum, ones, "spread"), "out"), {Input(shape)}, {}};
  std::fill_n(e.inputs[0].bits.begin() + kRows * kWidth, kRows * kWidth, bits_of(1));
  for (std::size_t q = 0; q < questions.size(); ++q) {
    for (std::size_t i = 0; i < questions[q]->x.size(); ++i) e.inputs[0].put(q, i, questions[q]->x[i]);
    e.places.push_back({{0, q * kWidth, 1}});
  }
  return e;
}

/// The right half of the last axis, times the left half, which is 1.
Experiment slices(const Questions& questions) {
  constexpr std::int64_t kHalf = kBlockColumns;
  require_room(questions, kHalf, longest(questions), 1);
  Builder b;
  const Shape shape = {1, kBlockChannels, 1, 2 * kHalf};
  const Value in = b.input("packed", shape);
  const Value ones = b.slice(in, {0, 0, 0, 0}, {1, kBlockChannels, 1, kHalf}, "ones");
  const Value right = b.slice(in, {0, 0, 0, kHalf}, {1, kBlockChannels, 1, kHalf}, "right");
  Experiment e{b.finish(b.mul(right, ones, "result"), "out"), {Input(shape)}, {}};
  for (std::size_t channel = 0; channel < kBlockChannels; ++channel)
    for (std::size_t i = 0; i < kHalf; ++i) e.inputs[0].put(channel, i, 1);
  for (std::size_t q = 0; q < questions.size(); ++q) {
    e.inputs[0].put(0, kHalf + q, questions[q]->x[0]);
    e.places.push_back({{0, q, 1}});
  }
  return e;
}

Experiment softmaxes(const Questions& questions) {
  constexpr std::int64_t kRows = 64, kWidth = 256;
  require_room(questions, kRows, longest(questions), kWidth);
  Builder b;
  const Shape shape = {1, 2 * kRows, 1, kWidth};
  const Value in = b.input("packed", shape);
  const Value rows = b.slice(in, {0, 0, 0, 0}, {1, kRows, 1, kWidth}, "rows");
  Experiment e{b.finish(b.softmax(rows, -1, "result"), "out"), {Input(shape)}, {}};
  for (std::size_t q = 0; q < questions.size(); ++q) {
    for (std::size_t i = 0; i < kWidth; ++i) e.inputs[0].put(q, i, questions[q]->x[i]);
    e.places.push_back({{0, q * kWidth, kWidth}});
  }
  return e;
}

Experiment experiment(ProbeOp op, const Questions& questions) {
  switch (op) {
    case ProbeOp::matmul:
      return matmuls(questions);
    case ProbeOp::conv:
      return convs(questions);
    case ProbeOp::add:
    case ProbeOp::sub:
    case ProbeOp::mul:
      return pairs(op, questions);
    case ProbeOp::reduce_sum:
      return sums(questions);
    case ProbeOp::slice:
      return slices(questions);
    case ProbeOp::sigmoid:
    case ProbeOp::tanh:
    case ProbeOp::exp:
      return function_values(op, questions);
    case ProbeOp::softmax:
      return softmaxes(questions);
  }
  return {};
}

std::vector<half_t> evaluate(ane::Device& device, ane::Request& request, const Input& input, half_t poison) {
  {
    const ane::WriteLock lock(*request.input());
    std::copy(input.bits.begin(), input.bits.end(), lock.halves().begin());
  }
  ane::evaluate_poisoned(device, request, poison);
  const ane::ReadLock lock(*request.output());
  return {lock.halves().begin(), lock.halves().end()};
}

std::vector<std::vector<half_t>> answers_of(ane::Device& device, ProbeOp op, const Questions& questions) {
  const Experiment e = experiment(op, questions);
  const std::string name = "probe of " + std::string(probe_op_name(op));
  const auto request = ready_request(device, e.program, name);
  std::vector<std::vector<half_t>> outputs;
  for (const Input& input : e.inputs) {
    outputs.push_back(evaluate(device, *request, input, ane::kPoison[0]));
    if (evaluate(device, *request, input, ane::kPoison[1]) != outputs.back())
      throw ane::DeviceError(Status::unstable, name, "two evaluations of one input differ", "probe again");
  }
  std::vector<std::vector<half_t>> answers(questions.size());
  for (std::size_t q = 0; q < questions.size(); ++q)
    for (const Experiment::Place& place : e.places[q]) {
      const auto first = outputs[place.evaluation].begin() + static_cast<std::ptrdiff_t>(place.first);
      answers[q].insert(answers[q].end(), first, first + static_cast<std::ptrdiff_t>(place.count));
    }
  return answers;
}

}  // namespace

std::string_view probe_op_name(ProbeOp op) {
  constexpr std::string_view kNames[] = {"matmul", "conv",    "add",  "sub", "mul",    "reduce_sum",
                                         "slice",  "sigmoid", "tanh", "exp", "softmax"};
  return kNames[static_cast<std::size_t>(op)];
}

Answers ask(ane::Device& device, const std::vector<Question>& questions) {
  Answers answers;
  answers.bits.resize(questions.size());
  std::vector<ProbeOp> ops;
  for (const Question& question : questions)
    if (std::find(ops.begin(), ops.end(), question.op) == ops.end()) ops.push_back(question.op);
  for (const ProbeOp op : ops) {
    Questions of_op;
    std::vector<std::size_t> places;
    for (std::size_t q = 0; q < questions.size(); ++q) {
      if (questions[q].op != op) continue;
      of_op.push_back(&questions[q]);
      places.push_back(q);
    }
    try {
      auto bits = answers_of(device, op, of_op);
      for (std::size_t i = 0; i < places.size(); ++i) answers.bits[places[i]] = std::move(bits[i]);
    } catch (const Error& error) {
      if (answers.failures.empty()) answers.status = ane::status_of(error, Status::compile_error);
      answers.failures.push_back(std::string(probe_op_name(op)) + ": " + error.what());
    }
  }
  return answers;
}

}  // namespace aneval::validate
