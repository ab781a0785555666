#include "validate/weights/hf_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/files.h"
#include "common/json_check.h"
#include "common/names.h"

namespace aneval::validate {
namespace {

using Json = nlohmann::json;

constexpr std::uintmax_t kFileLimitBytes = 1 << 20;
constexpr std::int64_t kSequence = 256;  // as the presets: what a model takes at most is far more than a surface holds
constexpr std::array<std::string_view, 4> kModelTypes = {"llama", "mistral", "qwen2", "qwen3"};

bool is_off(const Json& value) { return value.is_null() || value == false; }
bool is_one(const Json& value) { return value.is_null() || value == 1; }
bool is_null(const Json& value) { return value.is_null(); }
bool is_silu(const Json& value) { return value.is_null() || value == "silu" || value == "swish"; }
bool is_known_type(const Json& value) {
  return value.is_null() || std::ranges::any_of(kModelTypes, [&](std::string_view type) { return value == type; });
}
bool is_full_attention(const Json& value) {
  return value.is_null() ||
         (value.is_array() && std::ranges::all_of(value, [](const Json& each) { return each == "full_attention"; }));
}
/// {"rope_type": "default"}, in older files {"type": "default"}, turns lanes as no scaling does.
bool is_default_rope(const Json& value) {
  return value.is_null() ||
         (value.is_object() && value.value("rope_type", value.value("type", Json("default"))) == "default");
}

/// Keys that change what a layer computes: whether a value does not, and what the kernels have instead.
struct Refusal {
  std::string_view key;
  bool (*harmless)(const Json&);
  std::string_view kernels;
};
constexpr std::array<Refusal, 15> kRefusals = {{
    {"model_type", is_known_type,
     "the kernels compute Llama layers (llama, mistral, qwen2 or qwen3 without their extras)"},
    {"hidden_act", is_silu, "the kernels have silu"},
    {"rope_scaling", is_default_rope, "the kernels have RoPE without scaling"},
    {"rope_parameters", is_default_rope, "the kernels have RoPE without scaling"},
    {"partial_rotary_factor", is_one, "the kernels turn all lanes of a head"},
    {"attention_bias", is_off, "the kernels' projections have no biases"},
    {"qkv_bias", is_off, "the kernels' projections have no biases"},
    {"mlp_bias", is_off, "the kernels' projections have no biases"},
    {"layer_types", is_full_attention, "the kernels attend to all earlier tokens"},
    {"quantization_config", is_null, "save the model dequantised, as F32, F16 or BF16"},
    {"residual_multiplier", is_one, "give --model with this residual_scale, and the weights without config.json"},
    {"attention_multiplier", is_null, "the kernels scale scores by 1/sqrt(head_dim)"},
    {"embedding_multiplier", is_one, "the model around the kernels has no such factor"},
    {"logits_scaling", is_one, "the model around the kernels has no such factor"},
    {"final_logit_softcapping", is_null, "the model around the kernels has no such limit"},
}};

class Config {
 public:
  explicit Config(const std::filesystem::path& file) : file_(file.string()) {
    json_ = parse_json<Json>(read_text_file(file, kFileLimitBytes), file_, "check that it was copied completely");
    if (!json_.is_object()) throw input_error(file_, "is no JSON object", "take the config.json of a model");
  }

  /// The value, null when there is none.
  const Json& at(std::string_view key) const {
    static const Json null;
    const auto found = json_.find(key);
    return found == json_.end() ? null : *found;
  }
  Error wrong(std::string_view key, const std::string& reason, std::string_view remedy) const {
    return input_error(fmt::format("{}: {}", file_, key), reason, std::string(remedy));
  }
  /// Texts of JSON on one line, whatever they hold.
  Error refused(std::string_view key, const Json& value, std::string_view remedy) const {
    return wrong(key, fmt::format("is {}", value.dump(-1, ' ', true, Json::error_handler_t::replace)), remedy);
  }

  std::int64_t size(std::string_view key, std::optional<std::int64_t> otherwise = {}) const {
    const Json& value = at(key);
    if (value.is_null() && otherwise) return *otherwise;
    if (value.is_null()) throw wrong(key, "is missing", "take the config.json of a Llama model");
    if (!value.is_number_integer() || value.get<std::int64_t>() < 1 || value.get<std::int64_t>() > INT32_MAX)
      throw refused(key, value, "give a whole number of at least 1");
    return value.get<std::int64_t>();
  }
  double positive(std::string_view key, const Json& value, double otherwise) const {
    if (value.is_null()) return otherwise;
    if (!value.is_number() || !(value.get<double>() > 0)) throw refused(key, value, "give a positive number");
    return value.get<double>();
  }

  void refuse_what_kernels_lack() const {
    for (const Refusal& refusal : kRefusals)
      if (!refusal.harmless(at(refusal.key))) throw refused(refusal.key, at(refusal.key), refusal.kernels);
    // Qwen2 names a window that use_sliding_window leaves unused; Mistral has no such key.
    if (!is_off(at("sliding_window")) && at("use_sliding_window") != false)
      throw refused("sliding_window", at("sliding_window"), "the kernels attend to all earlier tokens");
    if (at("sliding_window").is_null() && !is_off(at("use_sliding_window")))
      throw refused("use_sliding_window", at("use_sliding_window"), "the kernels attend to all earlier tokens");
  }

 private:
  std::string file_;
  Json json_;
};

}  // namespace

HfConfig read_hf_config(const std::filesystem::path& file, const std::string& name) {
  const Config config(file);
  config.refuse_what_kernels_lack();
  HfConfig result;
  ModelShape& shape = result.shape;
  shape.name = name;
  shape.dim = config.size("hidden_size");
  shape.hidden = config.size("intermediate_size");
  shape.layers = config.size("num_hidden_layers");
  shape.heads = config.size("num_attention_heads");
  shape.kv_heads = config.size("num_key_value_heads", shape.heads);
  if (config.at("head_dim").is_null() && shape.dim % shape.heads != 0)
    throw config.wrong(
        "hidden_size",
        fmt::format("{} is no multiple of num_attention_heads {}, and there is no head_dim", shape.dim, shape.heads),
        "add head_dim");
  shape.head_dim = config.size("head_dim", shape.dim / shape.heads);
  shape.vocab = config.size("vocab_size");
  shape.seq = std::min(kSequence, config.size("max_position_embeddings", kSequence));
  // Since transformers 5 the base is one of the rope_parameters.
  const Json& parameters = config.at("rope_parameters");
  const Json& theta = parameters.is_object() && parameters.contains("rope_theta") ? parameters.at("rope_theta")
                                                                                  : config.at("rope_theta");
  shape.rope_base = config.positive("rope_theta", theta, 10000);
  shape.rms_eps = config.positive("rms_norm_eps", config.at("rms_norm_eps"), 1e-6);
  if (const Json& tied = config.at("tie_word_embeddings"); tied.is_boolean())
    result.tied = tied.get<bool>();
  else if (!tied.is_null())
    throw config.refused("tie_word_embeddings", tied, "give true or false");
  check_shape(shape, file.string());
  return result;
}

void check_same_model(const ModelShape& asked, const ModelShape& told, const std::string& file, bool hf_keys) {
  const struct {
    std::string_view name, hf;
    double asked, told;
  } fields[] = {
      {"dim", "hidden_size", static_cast<double>(asked.dim), static_cast<double>(told.dim)},
      {"hidden", "intermediate_size", static_cast<double>(asked.hidden), static_cast<double>(told.hidden)},
      {"layers", "num_hidden_layers", static_cast<double>(asked.layers), static_cast<double>(told.layers)},
      {"heads", "num_attention_heads", static_cast<double>(asked.heads), static_cast<double>(told.heads)},
      {"kv_heads", "num_key_value_heads", static_cast<double>(asked.kv_heads), static_cast<double>(told.kv_heads)},
      {"head_dim", "head_dim", static_cast<double>(asked.head_dim), static_cast<double>(told.head_dim)},
      {"rope_base", "rope_theta", asked.rope_base, told.rope_base},
      {"rms_eps", "rms_norm_eps", asked.rms_eps, told.rms_eps},
      {"residual_scale", "residual_scale", asked.residual_scale, told.residual_scale},
  };
  for (const auto& field : fields)
    if (field.asked != field.told)
      throw input_error(fmt::format("{}: {}", file, hf_keys ? field.hf : field.name),
                        fmt::format("is {}, and {} of --model {} is {}", number_text(field.told), field.name,
                                    asked.name, number_text(field.asked)),
                        "leave --model out, or correct it");
}

}  // namespace aneval::validate
