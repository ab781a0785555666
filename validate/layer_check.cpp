#include "validate/layer_check.h"

#include <cmath>

#include "common/hash.h"
#include "common/random.h"
#include "reference/convert.h"
#include "validate/weights/weights.h"

namespace aneval::validate {
namespace {

template <class T>
reference::Matrices<T> reference_results(const Case& c, const NamedTensors& tensors) {
  const reference::Options options = reference_options(c.variant);
  const auto input = reference::to_matrices<T>(tensors);
  auto tape = reference::layer_forward<T>(c.shape, options, input);
  auto results = reference::layer_backward<T>(c.shape, options, input, tape, input.at("dy"));
  results.merge(tape);  // the two have no name in common
  return results;
}

/// x, dy and every tensor that the plan makes.
NamedTensors run_plan(ane::LayerPrograms& programs, ThreadPool* pool, const NamedTensors& tensors,
                      const ane::CpuOps& cpu_ops) {
  ane::Layer layer(programs, pool, cpu_ops);
  NamedTensors weights;
  for (const std::string& name : layer_weights()) weights[name] = tensors.at(name);
  layer.read_outputs(ane::OutputReads::all);
  layer.stage(weights);
  NamedTensors work{{"x", tensors.at("x")}};
  layer.forward(work);
  work["dy"] = tensors.at("dy");
  layer.backward(work);
  return work;
}

}  // namespace

const std::vector<std::string>& layer_weights() {
  static const std::vector<std::string> names = {"wq", "wk", "wv", "wo", "w1", "w2", "w3", "rms_att", "rms_ffn"};
  return names;
}

const std::vector<std::string>& layer_results() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all = {"y", "dx"};
    for (const std::string& weight : layer_weights()) all.push_back("d" + weight);
    return all;
  }();
  return names;
}

NamedTensors random_layer_tensors(const Case& c) {
  const ModelShape& s = c.shape;
  auto shapes = layer_weight_shapes(s);
  shapes["x"] = shapes["dy"] = {s.dim, s.seq};
  NamedTensors tensors;
  for (const auto& [name, shape] : shapes) {
    Tensor tensor(shape);
    Random random(c.seed, name);
    if (name == "x")
      random.fill_normal(tensor.data, c.amplitude);
    else if (name == "dy")
      random.fill_normal(tensor.data, c.amplitude * c.gradient * c.loss_scale);
    else if (shape.size() == 1)
      random.fill_normal(tensor.data, 0.25, 1.0);  // away from 1: a misplaced w is invisible at 1
    else
      random.fill_normal(tensor.data, 1.0 / std::sqrt(static_cast<double>(tensor.cols())));
    tensors[name] = std::move(tensor);
  }
  return tensors;
}

NamedTensors run_layer_on_device(const CheckOptions& options, const Case& c, const NamedTensors& tensors) {
  ane::LayerPrograms programs(*options.device, options.registry, c.shape, c.variant, options.programs);
  NamedTensors work = run_plan(programs, options.pool, tensors, ane::CpuOps::builtin());
  NamedTensors results;
  for (const std::string& name : layer_results()) results[name] = std::move(work.at(name));
  return results;
}

template <class T>
NamedTensors run_layer_on_reference(const Case& c, const NamedTensors& tensors) {
  const auto all = reference_results<T>(c, tensors);
  NamedTensors results;
  for (const std::string& name : layer_results()) {
    Tensor tensor = reference::to_tensor(all.at(name));
    if (name.starts_with("drms_")) tensor.shape = {tensor.rows()};
    results[name] = std::move(tensor);
  }
  return results;
}

template NamedTensors run_layer_on_reference<float>(const Case&, const NamedTensors&);
template NamedTensors run_layer_on_reference<double>(const Case&, const NamedTensors&);

std::string layer_hash(const NamedTensors& results) {
  Hasher hasher;
  for (const std::string& name : layer_results()) {
    const Tensor& tensor = results.at(name);
    hasher.add(tensor.data.data(), tensor.data.size() * sizeof(float));
  }
  return hasher.digest();
}

LayerResult check_layer(const CheckOptions& options, const Case& c, const NamedTensors& tensors,
                        const ane::CpuOps& cpu_ops) {
  LayerResult result;
  result.c = c;
  result.c.kernel = "layer";
  ane::LayerPrograms programs(*options.device, options.registry, c.shape, c.variant, options.programs);
  const NamedTensors device = run_plan(programs, options.pool, tensors, cpu_ops);
  const auto expected = reference_results<double>(c, tensors);
  result.chain =
      check_chain({c, programs, options.references, reference_options(c.variant), tensors, device, expected});
  for (const CpuJudgement& step : result.chain.cpu) {
    if (step.reason.empty()) continue;
    result.status = Status::wrong_result;
    result.reason = "step " + step.step + " (" + step.tensor + "): " + step.reason;
    break;
  }
  for (const std::string& name : layer_results()) {
    const Tensor& got = device.at(name);
    LayerTensorError error;
    error.tensor = name;
    error.channels = got.rows();
    error.tokens = got.cols();
    error.metrics = compute_metrics(got.data, {expected.at(name).data(), got.data.size()});
    const bool judged = result.status == Status::wrong_result || result.status == Status::nonfinite;
    if (error.metrics.nan_count + error.metrics.inf_count > 0 && !judged) {
      result.status = Status::nonfinite;
      result.reason = name + " has " + std::to_string(error.metrics.nan_count) + " NaN and " +
                      std::to_string(error.metrics.inf_count) + " inf";
    }
    if (const std::string lost = mostly_lost(error.metrics); !lost.empty() && result.status == Status::ok) {
      result.status = Status::degraded;
      result.reason = name + ": " + lost + (name.starts_with("d") ? ": gradients need a --loss-scale" : "");
    }
    result.tensors.push_back(std::move(error));
  }
  result.output_hash = layer_hash(device);
  result.counters = options.device->counters();
  return result;
}

}  // namespace aneval::validate
