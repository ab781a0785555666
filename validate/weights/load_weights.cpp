// What tells the shape, and which file holds what. Taking tensors out of files is weight_collector's business.
#include "validate/weights/load_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "common/error.h"
#include "common/files.h"
#include "common/json_check.h"
#include "common/names.h"
#include "reference/llama2c.h"
#include "validate/weights/hf_config.h"
#include "validate/weights/weight_collector.h"
#include "validate/weights/weights.h"

namespace aneval::validate {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kIndexLimitBytes = 100'000'000;  // as the header of a safetensors file

/// The folder's own name, without what a model's name may not have.
std::string model_name(const fs::path& folder) {
  std::error_code ignored;
  std::string name = fs::weakly_canonical(folder, ignored).filename().string();
  std::ranges::replace_if(name, [](unsigned char c) { return c == ';' || c == '=' || c < ' '; }, '-');
  return name.empty() ? "weights" : name;
}

/// config.json, held against --model, whose pairing, sequence and name are the user's choice.
WeightPlan plan_of_config(const fs::path& config_file, const std::optional<ModelShape>& asked) {
  const HfConfig config = read_hf_config(config_file, model_name(config_file.parent_path()));
  WeightPlan plan{config.shape, config_file.string(), RopePairing::half, true, config.tied};
  if (asked) {
    check_same_model(*asked, config.shape, config_file.string(), true);
    if (asked->vocab != config.shape.vocab)
      throw input_error(
          config_file.string() + ": vocab_size",
          fmt::format("is {}, and vocab of --model {} is {}", config.shape.vocab, asked->name, asked->vocab),
          "leave --model out, or correct it");
    plan.shape = *asked;
  }
  return plan;
}

/// What a dump or a checkpoint says of itself, under `model`; nothing when the file is neither.
std::optional<ModelShape> shape_in(const FileMetadata& metadata, const std::string& file) {
  const auto found = metadata.find("model");
  if (found == metadata.end()) return std::nullopt;
  return parse_model_shape(found->second, file + ": model in its metadata");
}

/// Tokens of the embedding's rows, from a dump (I64) or a checkpoint (F32); empty when the file has none.
std::vector<std::int32_t> ids_in(const StoredTensors& stored, const std::string& file) {
  const auto found = stored.find(kVocabularyIds);
  if (found == stored.end()) return {};
  const std::vector<std::int64_t> values = integers_of(found->first, found->second, file);
  std::int64_t last = -1;
  std::vector<std::int32_t> ids;
  for (const std::int64_t value : values) {
    if (value <= last || value > INT32_MAX)
      throw input_error(file, fmt::format("tensor '{}' is no ascending list of token ids", kVocabularyIds),
                        "take an undamaged file");
    ids.push_back(static_cast<std::int32_t>(last = value));
  }
  return ids;
}

/// The vocabulary that the rows are part of: what the file says, else --model.
std::int64_t vocabulary_size(const FileMetadata& metadata, const std::optional<ModelShape>& asked, std::int64_t rows,
                             const std::string& file) {
  std::optional<std::int64_t> size;
  if (const auto found = metadata.find(kVocabularySize); found != metadata.end())
    size = parse_int(found->second, file + ": " + std::string(kVocabularySize) + " in its metadata");
  if (size && asked && asked->vocab != *size && asked->vocab != rows)
    throw input_error(file,
                      fmt::format("has {} of {} entries of a vocabulary, and vocab of --model {} is {}", rows, *size,
                                  asked->name, asked->vocab),
                      "leave --model out, or correct it");
  if (!size && asked) size = asked->vocab;
  if (!size) throw input_error(file, "does not tell the size of its vocabulary", "give --model FILE.json as well");
  return *size;
}

Weights load_file(const fs::path& path, const std::optional<ModelShape>& asked) {
  const std::string file = path.string();
  FileMetadata metadata;
  StoredTensors stored = read_safetensors(path, &metadata);
  const bool hf = std::ranges::any_of(stored, [](const auto& entry) { return entry.first.starts_with("model."); });
  const std::optional<ModelShape> told = shape_in(metadata, file);
  WeightPlan plan;
  if (told) {
    if (asked) check_same_model(*asked, *told, file, false);
    // In Hugging Face's names lanes always have Hugging Face's order.
    plan = {asked.value_or(*told), file + " (model in its metadata)", hf ? RopePairing::half : told->rope_pairing, hf};
    plan.with_others = true;
  } else if (const fs::path config = path.parent_path() / "config.json"; hf && fs::exists(config)) {
    plan = plan_of_config(config, asked);
  } else if (asked) {
    plan = {*asked, "--model " + asked->name, hf ? RopePairing::half : asked->rope_pairing, hf};
  } else {
    throw input_error(
        file, "does not tell its model",
        hf ? "put its config.json beside it, or give --model FILE.json as well" : "give --model FILE.json as well");
  }
  if (!hf) plan.with_others = true;

  Weights weights;
  weights.file = path;
  weights.ids = ids_in(stored, file);
  const auto rows = static_cast<std::int64_t>(weights.ids.size());
  weights.vocab = rows == 0 ? plan.shape.vocab : vocabulary_size(metadata, asked, rows, file);
  if (rows != 0) plan.shape.vocab = rows;
  // --model may also be the compacted model itself.
  if (rows == weights.vocab) weights.ids.clear();
  if (!weights.ids.empty() && weights.ids.back() >= weights.vocab)
    throw input_error(
        file,
        fmt::format("has a row for token {}, and the vocabulary has {} entries", weights.ids.back(), weights.vocab),
        "give the --model that it was made with");
  std::vector<std::string> names;
  for (const auto& [name, tensor] : stored) names.push_back(name);
  WeightCollector collector(plan, names, file);
  collector.take(stored, file);
  weights.model = collector.finish(file);
  return weights;
}

/// model.safetensors.index.json: the shard of every tensor.
std::map<std::string, std::string> read_index(const fs::path& path) {
  const std::string place = path.string() + ": weight_map";
  const auto json = parse_json<nlohmann::json>(read_text_file(path, kIndexLimitBytes), path.string(),
                                               "check that it was copied completely");
  const std::string remedy = "take the index that was saved with the shards";
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object() ||
      json["weight_map"].empty())
    throw input_error(place, "is missing or no map of tensors to files", remedy);
  std::map<std::string, std::string> shards;
  for (const auto& [name, shard] : json["weight_map"].items()) {
    if (!shard.is_string() || fs::path(shard.get<std::string>()).filename() != shard.get<std::string>() ||
        !shard.get<std::string>().ends_with(".safetensors"))
      throw input_error(place, fmt::format("tensor '{}' is in no .safetensors file of this folder", name), remedy);
    shards[name] = shard;
  }
  return shards;
}

/// Shard by shard, so that only one of them is in memory beside the model.
reference::Model load_shards(const fs::path& folder, const fs::path& index_file, const WeightPlan& plan) {
  const std::map<std::string, std::string> index = read_index(index_file);
  const std::string place = index_file.string() + ": weight_map";
  std::vector<std::string> names;
  std::set<std::string> shards;
  for (const auto& [name, shard] : index) {
    names.push_back(name);
    shards.insert(shard);
  }
  WeightCollector collector(plan, names, index_file.string());
  const std::string remedy = "download index and shards again, from one revision of the model";
  for (const std::string& shard : shards)
    if (!fs::exists(folder / shard))
      throw input_error((folder / shard).string(), "is missing, and the index names it", remedy);
  for (const std::string& shard : shards) {
    StoredTensors stored = read_safetensors(folder / shard);
    for (const auto& [name, of] : index)
      if (of == shard && !stored.contains(name))
        throw input_error(place, fmt::format("says that {} has tensor '{}', and it does not", shard, name), remedy);
    for (const auto& [name, tensor] : stored)
      if (const auto found = index.find(name); found == index.end() || found->second != shard)
        throw input_error(place,
                          fmt::format("says that {} has tensor '{}', and {} has it",
                                      found == index.end() ? "no file" : found->second, name, shard),
                          remedy);
    collector.take(stored, (folder / shard).string());
  }
  return collector.finish(index_file.string());
}

Weights load_folder(const fs::path& folder, const std::optional<ModelShape>& asked) {
  const fs::path config = folder / "config.json", single = folder / "model.safetensors",
                 index = folder / "model.safetensors.index.json";
  if (!fs::exists(single) && !fs::exists(index))
    throw input_error(folder.string(), "has neither model.safetensors nor model.safetensors.index.json",
                      "save the model as safetensors");
  if (!fs::exists(config) && !asked)
    throw input_error(folder.string(), "has no config.json", "add it, or give --model FILE.json as well");
  if (fs::exists(single)) return load_file(single, asked);
  const WeightPlan plan = fs::exists(config) ? plan_of_config(config, asked)
                                             : WeightPlan{*asked, "--model " + asked->name, RopePairing::half, true};
  return {load_shards(folder, index, plan), {}, plan.shape.vocab, folder};
}

}  // namespace

Weights load_weights(const fs::path& place, const std::optional<ModelShape>& shape) {
  if (fs::is_directory(place)) return load_folder(place, shape);
  if (place.extension() == ".safetensors") return load_file(place, shape);
  if (place.extension() == ".json")
    throw input_error(place.string(), "describes weights and holds none", "give the folder that it is in");
  Weights weights{reference::read_llama2c(place), {}, 0, place};
  weights.vocab = weights.model.shape.vocab;
  return weights;
}

std::vector<std::int32_t> rows_of_tokens(const Weights& weights, const std::vector<std::int32_t>& tokens) {
  if (weights.ids.empty()) return tokens;
  std::vector<std::int32_t> rows(tokens.size());
  std::ranges::transform(tokens, rows.begin(), [&](std::int32_t token) {
    const auto found = std::ranges::lower_bound(weights.ids, token);
    if (found == weights.ids.end() || *found != token)
      throw input_error(weights.file.string(),
                        fmt::format("has no row for token {}: its embedding holds {} of {} entries", token,
                                    weights.ids.size(), weights.vocab),
                        "use the data that it was trained on");
    return static_cast<std::int32_t>(found - weights.ids.begin());
  });
  return rows;
}

}  // namespace aneval::validate
