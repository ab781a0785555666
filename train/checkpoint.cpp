#include "train/checkpoint.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "common/error.h"
#include "common/hash.h"
#include "common/names.h"
#include "common/safetensors.h"
#include "validate/weights/weight_collector.h"
#include "validate/weights/weights.h"

namespace aneval::train {
namespace {

constexpr std::string_view kFirst = "adam.first.", kSecond = "adam.second.";
constexpr std::string_view kChecksum = "checksum", kVersion = "aneval_checkpoint";

/// Of names, shapes, elements and all metadata but itself.
std::string checksum(const TensorReferences& tensors, const FileMetadata& metadata) {
  Hasher hasher;
  const auto add = [&](const std::string& text) { hasher.add(text.data(), text.size()); };
  for (const auto& [name, tensor] : tensors) {
    add(name);
    add(shape_text(tensor->shape));
    hasher.add(tensor->data.data(), tensor->data.size() * sizeof(float));
  }
  for (const auto& [key, value] : metadata) {
    if (key == kChecksum) continue;
    add(key);
    add(value);
  }
  return hasher.digest();
}

std::int64_t number(const FileMetadata& metadata, std::string_view key, const std::string& file) {
  const auto found = metadata.find(key);
  std::int64_t value = -1;
  if (found != metadata.end()) {
    const std::string& text = found->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size() && value >= 0) return value;
  }
  throw input_error(file, fmt::format("its '{}' is no count", key), "take another checkpoint");
}

const std::string& text(const FileMetadata& metadata, std::string_view key, const std::string& file) {
  const auto found = metadata.find(key);
  if (found == metadata.end())
    throw input_error(file, fmt::format("has no '{}' in its metadata", key), "take another checkpoint");
  return found->second;
}

/// A shape on one line, for messages.
std::string shape_line(const ModelShape& shape) {
  std::string line = model_shape_json(shape);
  std::erase_if(line, [](char c) { return c == '\n' || c == ' '; });
  return line;
}

/// Before room is made for a model: a damaged shape may ask for terabytes. The file holds every parameter three times.
void require_elements(const ModelShape& shape, const NamedTensors& tensors, const std::string& file) {
  std::int64_t held = 0, wanted = shape.vocab * shape.dim;
  for (const auto& [name, tensor] : tensors) held += static_cast<std::int64_t>(tensor.data.size());
  for (const auto& [name, dims] : validate::layer_weight_shapes(shape))
    wanted += shape.layers * Tensor::element_count(dims);
  if (held / 3 < wanted)
    throw input_error(file, fmt::format("has {} numbers, and its model alone has {}", held, wanted),
                      "continue from another checkpoint");
}

/// An fp32 number that is an id. Errors: it is none.
std::int32_t id_of(float value, const std::string& file) {
  if (!(value >= 0 && value < 0x1p24F) || std::trunc(value) != value)
    throw input_error(file, fmt::format("{} in its '{}' is no id", value, validate::kVocabularyIds),
                      "continue from another checkpoint");
  return static_cast<std::int32_t>(value);
}

/// Tensors of these names and shapes, zeros yet.
Parameters empty_parameters(const ModelShape& shape, bool tied) {
  Parameters parameters;
  parameters.globals["embedding"] = Tensor({shape.vocab, shape.dim});
  parameters.globals["rms_final"] = Tensor({shape.dim});
  if (!tied) parameters.globals["classifier"] = Tensor({shape.vocab, shape.dim});
  const auto shapes = validate::layer_weight_shapes(shape);
  for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
    NamedTensors& weights = parameters.layers.emplace_back();
    for (const auto& [name, dims] : shapes) weights[name] = Tensor(dims);
  }
  return parameters;
}

/// Moves the file's tensors into a set, by name behind the prefix.
void take(NamedTensors& from, std::string_view prefix, Parameters& to, const std::string& file) {
  for (const NamedTensor& named : tensors_of(to)) {
    const std::string name = std::string(prefix) + named.name;
    *named.tensor = std::move(validate::require_tensor(from, name, named.tensor->shape, file));
    from.erase(name);
  }
}

}  // namespace

void write_checkpoint(const std::filesystem::path& file, const TrainState& state, const TokenIds& ids,
                      std::int64_t vocab, const std::string& settings) {
  Tensor id_tensor({static_cast<std::int64_t>(ids.size())});
  for (std::size_t i = 0; i < ids.size(); ++i) id_tensor.data[i] = static_cast<float>(ids[i]);
  TensorReferences tensors = {{std::string(validate::kVocabularyIds), &id_tensor}};
  const auto add = [&](std::string_view prefix, const Parameters& parameters) {
    for (const NamedConstTensor& named : tensors_of(parameters))
      tensors.emplace(std::string(prefix) + named.name, named.tensor);
  };
  add("", state.weights);
  add(kFirst, state.moments.first);
  add(kSecond, state.moments.second);
  FileMetadata metadata = {{std::string(kVersion), std::to_string(kCheckpointVersion)},
                           {"step", std::to_string(state.step)},
                           {"updates", std::to_string(state.moments.updates)},
                           {"model", model_shape_json(state.shape)},
                           {std::string(validate::kVocabularySize), std::to_string(vocab)},
                           {"settings", settings}};
  metadata.emplace(kChecksum, checksum(tensors, metadata));
  write_safetensors(file, tensors, metadata);
}

Checkpoint read_checkpoint(const std::filesystem::path& path) {
  const std::string file = path.string();
  FileMetadata metadata;
  NamedTensors tensors;
  for (auto& [name, stored] : read_safetensors(path, &metadata)) tensors[name] = validate::widen(name, stored, file);
  if (!metadata.contains(kVersion))
    throw input_error(file, "is a safetensors file but no checkpoint of a training run", "give it as --weights");
  if (const std::int64_t version = number(metadata, kVersion, file); version != kCheckpointVersion)
    throw input_error(file,
                      fmt::format("is of checkpoint version {}, this program reads {}", version, kCheckpointVersion),
                      "continue it with the program that wrote it");
  TensorReferences references;
  for (const auto& [name, tensor] : tensors) references.emplace(name, &tensor);
  if (text(metadata, kChecksum, file) != checksum(references, metadata))
    throw input_error(file, "its checksum does not hold: the file was damaged", "continue from another checkpoint");

  Checkpoint checkpoint;
  checkpoint.settings = text(metadata, "settings", file);
  TrainState& state = checkpoint.state;
  state.shape = parse_model_shape(text(metadata, "model", file), file);
  state.step = number(metadata, "step", file);
  require_elements(state.shape, tensors, file);
  state.weights = empty_parameters(state.shape, !tensors.contains("classifier"));
  state.moments = {zeros_like(state.weights), zeros_like(state.weights), number(metadata, "updates", file)};
  take(tensors, "", state.weights, file);
  take(tensors, kFirst, state.moments.first, file);
  take(tensors, kSecond, state.moments.second, file);
  for (const float id :
       validate::require_tensor(tensors, std::string(validate::kVocabularyIds), {state.shape.vocab}, file).data)
    checkpoint.ids.push_back(id_of(id, file));
  tensors.erase(std::string(validate::kVocabularyIds));
  if (!tensors.empty())
    throw input_error(file, "tensor '" + tensors.begin()->first + "' belongs to no model of its shape",
                      "take another checkpoint");
  return checkpoint;
}

void check_continues(const Checkpoint& checkpoint, const ModelShape& shape, const TokenIds& ids,
                     const std::string& settings, const std::filesystem::path& file) {
  const std::string remedy = "give the arguments of the run that wrote it, or another --checkpoint";
  if (checkpoint.state.shape.vocab != shape.vocab || checkpoint.ids != ids)
    throw input_error(file.string(), "its vocabulary is that of other data", remedy);
  if (!(checkpoint.state.shape == shape))
    throw input_error(
        file.string(),
        fmt::format("it is of model {}, not of {}", shape_line(checkpoint.state.shape), shape_line(shape)), remedy);
  const auto before = split(checkpoint.settings, ';'), now = split(settings, ';');
  for (std::size_t i = 0; i < std::max(before.size(), now.size()); ++i) {
    const std::string was = i < before.size() ? before[i] : "nothing", is = i < now.size() ? now[i] : "nothing";
    if (was != is) throw input_error(file.string(), fmt::format("it was made with {}, not with {}", was, is), remedy);
  }
}

}  // namespace aneval::train
