#include "train/step_dump.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "common/names.h"
#include "validate/weights/hf_layout.h"
#include "validate/weights/weight_collector.h"

namespace aneval::train {
namespace {

constexpr std::string_view kVersion = "1";

template <class T>
StoredTensor stored(std::string_view dtype, std::vector<std::int64_t> shape, const std::vector<T>& values) {
  StoredTensor tensor{std::string(dtype), std::move(shape), std::vector<std::byte>(values.size() * sizeof(T))};
  std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
  return tensor;
}

/// Tokens as ids and as rows, and the loss.
StoredTensors data_of(const DumpedStep& step) {
  std::vector<std::int64_t> inputs, targets, input_rows, target_rows;
  for (std::int64_t micro = 0; micro < step.settings.accum; ++micro) {
    const auto sequence = step.data.sequence(step.state.step, micro);
    for (std::size_t i = 0; i + 1 < sequence.size(); ++i) {
      input_rows.push_back(sequence[i]);
      target_rows.push_back(sequence[i + 1]);
      inputs.push_back(step.ids.at(static_cast<std::size_t>(sequence[i])));
      targets.push_back(step.ids.at(static_cast<std::size_t>(sequence[i + 1])));
    }
  }
  const std::vector<std::int64_t> shape = {step.settings.accum, step.state.shape.seq};
  StoredTensors tensors;
  tensors["tokens.inputs"] = stored("I64", shape, inputs);
  tensors["tokens.targets"] = stored("I64", shape, targets);
  tensors["rows.inputs"] = stored("I64", shape, input_rows);
  tensors["rows.targets"] = stored("I64", shape, target_rows);
  tensors[std::string(validate::kVocabularyIds)] = stored("I64", {static_cast<std::int64_t>(step.ids.size())},
                                                          std::vector<std::int64_t>(step.ids.begin(), step.ids.end()));
  tensors["loss"] = stored("F64", {1}, std::vector<double>{step.result.loss});
  return tensors;
}

}  // namespace

std::filesystem::path DumpOptions::file(std::int64_t step) const {
  return folder / fmt::format("step-{}.safetensors", step);
}

void write_step_dump(const DumpOptions& options, const DumpedStep& step) {
  const ModelShape& shape = step.state.shape;
  const RopePairing pairing = options.hf_names ? RopePairing::half : shape.rope_pairing;
  const auto name_of = [&](const std::string& own) { return options.hf_names ? validate::hf_name(own) : own; };
  NamedTensors changed;  // what cannot be written as it lies there
  TensorReferences tensors;
  for (const NamedConstTensor& weight : tensors_of(step.state.weights)) {
    const Tensor* tensor = weight.tensor;
    if (validate::is_rotated(weight.name) && pairing != shape.rope_pairing) {
      Tensor& converted = changed[weight.name] = *weight.tensor;
      validate::convert_pairing(converted, shape.head_dim, shape.rope_pairing, pairing);
      tensor = &converted;
    }
    tensors.emplace(name_of(weight.name), tensor);
  }
  for (const NamedConstTensor& gradient : tensors_of(step.gradients)) {
    Tensor& unscaled = changed["grad." + gradient.name] = *gradient.tensor;
    for (float& value : unscaled.data)
      value = static_cast<float>(static_cast<double>(value) / step.settings.loss_scale);
    if (validate::is_rotated(gradient.name))
      validate::convert_pairing(unscaled, shape.head_dim, shape.rope_pairing, pairing);
    tensors.emplace("grad." + name_of(gradient.name), &unscaled);
  }
  FileMetadata metadata = options.about;
  metadata["aneval_step_dump"] = kVersion;
  metadata["step"] = std::to_string(step.state.step);
  metadata["loss_scale"] = number_text(step.settings.loss_scale);
  metadata["names"] = options.hf_names ? "hf" : "own";
  metadata["rope_pairing"] = validate::pairing_name(pairing);
  metadata["model"] = model_shape_json(shape);
  metadata["settings"] = step.settings.text();
  metadata[std::string(validate::kVocabularySize)] = std::to_string(step.vocab);
  write_safetensors(options.file(step.state.step), tensors, metadata, data_of(step));
}

}  // namespace aneval::train
