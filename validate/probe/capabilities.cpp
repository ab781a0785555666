#include "validate/probe/capabilities.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ane/compiled_kernel.h"
#include "ane/mil/conv.h"
#include "ane/mil/family_rules.h"
#include "ane/mil/text.h"
#include "common/error.h"
#include "common/names.h"
#include "validate/probe/small_program.h"

namespace aneval::validate {
namespace {

using mil::Builder;
using mil::Shape;
using mil::Value;

constexpr std::int64_t kChannels = 64, kWidth = 512;  // 64 KiB, what every family is known to run

/// A program of one input and what `make` computes from it.
Trial trial(const Shape& shape, float fill, std::optional<float> expected,
            const std::function<Value(Builder&, const Value&)>& make) {
  Builder b;
  const Value in = b.input("packed", shape);
  return {b.finish(make(b, in), "out"), fill, expected};
}

Value doubled(Builder& b, const Value& x) { return b.add(x, x, "twice"); }

/// Baked 1x1 convolutions: ones times weights of 2^-6.
Capability conv_channels(std::int64_t channels) {
  return {"conv channels", std::to_string(channels), channels > 1024, [channels] {
            return Trial{conv_chain({.channels = channels, .depth = 1, .spatial = 512, .weight = 0x1p-6F}), 1,
                         static_cast<float>(channels) / 64};
          }};
}

/// x + x on inputs of this last axis, of 64 KiB where it is small.
Capability input_width(std::int64_t width) {
  const std::int64_t channels = std::max<std::int64_t>(1, kChannels * kWidth / width);
  return {"input width", std::to_string(width), width > 4096,
          [=] { return trial({1, channels, 1, width}, 1, 2, doubled); }};
}

Capability surface_bytes(std::int64_t bytes) {
  return {"input bytes", std::to_string(bytes), false, [=] { return trial({1, bytes / 128, 1, 64}, 1, 2, doubled); }};
}

/// 32 columns times 32 columns over k, all 1/8.
Capability contraction(std::int64_t k) {
  return {"matmul contraction", std::to_string(k), k > 4096, [k] {
            const auto make = [k](Builder& b, const Value& in) {
              const auto half = [&](std::int64_t begin, const std::string& name) {
                return b.reshape(b.slice(in, {0, 0, 0, begin}, {1, k, 1, 32}, name), {1, 1, k, 32}, name + "_rows");
              };
              const Value left = b.transpose(half(0, "left"), {0, 1, 3, 2}, "left_turned");
              return b.reshape(b.matmul(left, half(32, "right"), false, false, "product"), {1, 32, 1, 32}, "flat");
            };
            return trial({1, k, 1, 64}, 0.125F, static_cast<float>(k) / 64, make);
          }};
}

Capability softmax_width(std::int64_t width) {
  return {"softmax width", std::to_string(width), false, [width] {
            return trial({1, 128, 1, width}, 1, {},
                         [](Builder& b, const Value& in) { return b.softmax(in, -1, "result"); });
          }};
}

Capability operation(const std::string& name, std::optional<float> expected,
                     const std::function<Value(Builder&, const Value&)>& make) {
  return {"operation", name, false, [=] { return trial({1, kChannels, 1, kWidth}, 1, expected, make); }};
}

Capability unary(const std::string& name, std::optional<float> expected = {}) {
  return operation(name, expected, [name](Builder& b, const Value& in) { return b.op(name, {{"x", in}}, "result"); });
}

Capability binary(const std::string& name) {
  return operation(name, 1,
                   [name](Builder& b, const Value& in) { return b.op(name, {{"x", in}, {"y", in}}, "result"); });
}

Capability reduction(const std::string& name, float expected) {
  return operation(name, expected, [name](Builder& b, const Value& in) {
    const Value reduced =
        b.op(name, {{"x", in}, {"axes", b.ints({-1}, "axes")}, {"keep_dims", b.boolean(true)}}, "reduced");
    return b.mul(reduced, in, "spread");
  });
}

Capability dialect(const std::string& name, mil::Dialect dialect) {
  return {"dialect", name, false, [dialect] {
            Trial t = trial({1, kChannels, 1, kWidth}, 1, 2, doubled);
            t.program.text = mil::print(t.program.graph, dialect);
            return t;
          }};
}

std::vector<Capability> make_capabilities() {
  std::vector<Capability> all = {dialect("modern", mil::Dialect::modern), dialect("legacy", mil::Dialect::legacy)};
  for (const std::int64_t n : {64, 128, 256, 384, 512, 768, 1024, 2048}) all.push_back(conv_channels(n));
  for (const std::int64_t n : {16, 32, 48, 64, 96, 512, 513, 528, 544, 16384, 16416, 65536, 65568})
    all.push_back(input_width(n));
  for (const std::int64_t n : {1024, 2048, 16384, 49152}) all.push_back(surface_bytes(n));
  for (const std::int64_t n : {48, 64, 100, 1024, 16384, 16416}) all.push_back(contraction(n));
  for (const std::int64_t n : {32, 96, 224, 256, 288, 512}) all.push_back(softmax_width(n));
  for (const char* name : {"sigmoid", "tanh", "exp", "silu"}) all.push_back(unary(name));
  for (const char* name : {"sqrt", "rsqrt", "square", "relu"}) all.push_back(unary(name, 1.0F));
  for (const char* name : {"real_div", "maximum", "minimum", "pow"}) all.push_back(binary(name));
  all.push_back(reduction("reduce_sum", 512));
  all.push_back(reduction("reduce_mean", 1));
  all.push_back(reduction("reduce_max", 1));
  all.push_back(operation("concat on channels", 1,
                          [](Builder& b, const Value& in) { return b.concat({in, in}, 1, false, "result"); }));
  all.push_back(operation("concat on width", 1,
                          [](Builder& b, const Value& in) { return b.concat({in, in}, 3, false, "result"); }));
  all.push_back(
      operation("transpose", 1, [](Builder& b, const Value& in) { return b.transpose(in, {0, 3, 2, 1}, "result"); }));
  all.push_back(operation("cast to fp32 and back", 1, [](Builder& b, const Value& in) {
    const Value wide = b.op("cast", {{"x", in}, {"dtype", b.text("fp32", "wide")}}, "wider");
    return b.op("cast", {{"x", wide}, {"dtype", b.text("fp16", "narrow")}}, "result");
  }));
  all.push_back(operation("conv with bias", 3, [](Builder& b, const Value& in) {
    const std::vector<double> weights(kChannels * kChannels, 0x1p-6), biases(kChannels, 2);
    return conv_1x1(b, in, b.weights("weight", {kChannels, kChannels, 1, 1}, weights),
                    b.weights("bias", {kChannels}, biases), "result");
  }));
  all.push_back(operation("conv with weights of the input", 8, [](Builder& b, const Value& in) {
    const Value x = b.slice(in, {0, 0, 0, 0}, {1, kChannels, 1, kWidth - 64}, "columns");
    const Value part = b.slice(in, {0, 0, 0, kWidth - 64}, {1, kChannels, 1, 64}, "part");
    const Value scaled = b.mul(part, b.scalar(0.125, "eighth"), "scaled");
    return conv_1x1(b, x, b.reshape(scaled, {kChannels, 64, 1, 1}, "weight"), std::nullopt, "result");
  }));
  return all;
}

/// What the engine wrote, held against the trial.
CapabilityResult judge_output(const Trial& trial, ane::Surface& output) {
  const ane::ReadLock lock(output);
  for (const ane::half_t bits : lock.halves()) {
    const float value = ane::to_float(bits);
    if (!std::isfinite(value)) return {Status::nonfinite, fmt::format("gives {}", value)};
    if (trial.expected && value != *trial.expected)
      return {Status::wrong_result, fmt::format("gives {} instead of {}", value, *trial.expected)};
  }
  return {};
}

std::vector<std::string> family_checks(const std::string& text, const std::string& family) {
  std::vector<std::string> rules;
  for (const mil::Family& known : mil::families()) {
    if (known.name != family) continue;
    for (const mil::Finding& finding : mil::check_family(mil::parse(text, "trial"), known))
      if (finding.severity == mil::Severity::error &&
          std::find(rules.begin(), rules.end(), finding.rule) == rules.end())
        rules.push_back(finding.rule);
  }
  return rules;
}

}  // namespace

const std::vector<Capability>& capabilities() {
  static const std::vector<Capability> all = make_capabilities();
  return all;
}

const Capability& find_capability(std::string_view name) {
  std::vector<std::string> known;
  for (const Capability& capability : capabilities()) {
    if (capability.name() == name) return capability;
    known.push_back(capability.name());
  }
  unknown_name("capability", name, known);
}

CapabilityResult try_capability(ane::Device& device, const Capability& capability) {
  const Trial trial = capability.make();
  CapabilityResult result;
  // The emulator stands for the family of its profile.
  const ane::DeviceInfo& info = device.info();
  const std::string family = info.family.empty() ? info.profile.substr(0, info.profile.find(':')) : info.family;
  const std::vector<std::string> checks = family_checks(trial.program.text, family);
  try {
    const ane::ProgramSource source = source_of(trial.program, capability.name());
    const auto executable = device.compile(source);
    device.load(*executable);
    const auto request = device.make_request(executable, device.create_surface(source.input_bytes),
                                             device.create_surface(source.output_bytes));
    {
      const ane::WriteLock lock(*request->input());
      std::fill(lock.halves().begin(), lock.halves().end(), ane::to_half(trial.fill));
    }
    ane::evaluate_poisoned(device, *request, ane::kPoison[0]);
    result = judge_output(trial, *request->output());
  } catch (const Error& error) {
    result = {ane::status_of(error, Status::compile_error), error.what()};
  }
  result.checks = checks;
  return result;
}

}  // namespace aneval::validate
