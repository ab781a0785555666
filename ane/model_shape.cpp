// Presets, checks and the JSON form of model shapes.
#include "ane/model_shape.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/files.h"
#include "common/json_check.h"
#include "common/names.h"

namespace aneval {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kScaleOfDepth = "1/sqrt(2L)";
/// A shape has 300 bytes. Objects that keep the order of their keys compare each with all before: a megabyte took 34 s.
constexpr std::uintmax_t kFileLimitBytes = 1 << 16;

double scale_of_depth(std::int64_t layers) { return 1.0 / std::sqrt(2.0 * static_cast<double>(layers)); }

struct IntegerField {
  std::string_view name;
  std::int64_t ModelShape::* member;
};

constexpr IntegerField kIntegerFields[] = {{"dim", &ModelShape::dim},           {"hidden", &ModelShape::hidden},
                                           {"heads", &ModelShape::heads},       {"kv_heads", &ModelShape::kv_heads},
                                           {"head_dim", &ModelShape::head_dim}, {"seq", &ModelShape::seq},
                                           {"layers", &ModelShape::layers},     {"vocab", &ModelShape::vocab}};

std::vector<std::string> field_names() {
  std::vector<std::string> names = {"name"};
  for (const auto& field : kIntegerFields) names.emplace_back(field.name);
  for (const char* name : {"rope_base", "rope_pairing", "rms_eps", "residual_scale"}) names.emplace_back(name);
  return names;
}

std::string place(std::string_view where, std::string_view field) {
  return std::string(where) + ": " + std::string(field);
}

ModelShape preset(std::string name, std::int64_t dim, std::int64_t hidden, std::int64_t heads, std::int64_t kv_heads,
                  std::int64_t head_dim, std::int64_t layers, std::int64_t vocab) {
  ModelShape shape{.name = std::move(name),
                   .dim = dim,
                   .hidden = hidden,
                   .heads = heads,
                   .kv_heads = kv_heads,
                   .head_dim = head_dim,
                   .seq = 256,
                   .layers = layers,
                   .vocab = vocab};
  shape.residual_scale = scale_of_depth(layers);
  return shape;
}

/// Sizes in double: no product of the fields can overflow it, and the comparison with a power of two needs no more.
void check_sizes(const ModelShape& shape, std::string_view where) {
  const auto d = static_cast<double>(shape.dim), f = static_cast<double>(shape.hidden),
             h = static_cast<double>(shape.heads), s = static_cast<double>(shape.seq),
             lanes = static_cast<double>(shape.head_dim), q = h * lanes,
             k = static_cast<double>(shape.kv_heads) * lanes;
  const double surface_limit = std::ldexp(1.0, 40), index_limit = std::ldexp(1.0, 62);
  const struct {
    std::string_view fields, what;
    double bytes, limit;
  } sizes[] = {
      {"dim, heads, head_dim, seq", "the input surface of sdpaFwd", 2 * d * (s + q + 2 * k), surface_limit},
      {"dim, heads, head_dim, seq", "the input surface of woFwd", 2 * q * (s + d), surface_limit},
      {"dim, heads, head_dim, seq", "the output surface of sdpaFwd", 2 * s * (2 * q + 2 * k + d), surface_limit},
      {"dim, hidden, seq", "the input surface of ffnFused", 2 * d * (2 * s + 3 * f), surface_limit},
      {"dim, hidden, seq", "the output surface of ffnFused", 2 * s * (d + 3 * f), surface_limit},
      {"dim, hidden, seq", "the input surface of ffnBwdW13t", 2 * f * (2 * s + 2 * d), surface_limit},
      {"heads, head_dim, seq", "the input surface of sdpaBwd1", 2 * s * 4 * q, surface_limit},
      {"heads, head_dim, seq", "the output surface of sdpaBwd1", 2 * s * (q + 2 * h * s), surface_limit},
      {"heads, head_dim, seq", "the input surface of sdpaBwd2", 2 * s * (2 * h * s + 2 * q), surface_limit},
      {"dim, heads, head_dim, seq", "the input surface of sdpaWoFwd", 2 * d * (s + 2 * q + 2 * k), surface_limit},
      {"dim, hidden, seq", "the input surface of ffnDown", 2 * f * (2 * s + d), surface_limit},
      {"dim, hidden, seq", "the input surface of ffnBwdSiluW13t", 2 * f * (3 * s + 2 * d), surface_limit},
      {"dim, hidden, seq", "the output surface of ffnBwdSiluW13t", 2 * s * (d + 2 * f), surface_limit},
      {"dim, heads, kv_heads, head_dim, seq", "the input surface of qkvBwd", 2 * (q + 2 * k) * (s + d), surface_limit},
      {"vocab, dim", "the embedding", 4 * static_cast<double>(shape.vocab) * d, index_limit},
      {"vocab, seq", "the logits", 4 * static_cast<double>(shape.vocab) * s, index_limit},
      {"layers", "the weights of all layers", 4 * static_cast<double>(shape.layers) * d * (2 * q + 2 * k + 3 * f + 2),
       index_limit},
  };
  for (const auto& size : sizes) {
    if (size.bytes <= size.limit) continue;
    throw input_error(place(where, size.fields),
                      std::string(size.what) + " would have " + number_text(size.bytes) + " bytes, more than " +
                          number_text(size.limit),
                      "use smaller values");
  }
}

/// The parser keeps the last of equal keys silently; a model file with two is a mistake of its author.
Json parse_object(std::string_view text, std::string_view where) {
  // Also where the text is no file: a safetensors file can hold one.
  if (text.size() > kFileLimitBytes)
    throw input_error(std::string(where), "larger than the " + std::to_string(kFileLimitBytes) + " bytes allowed here",
                      "check that this is the intended file");
  const auto json = parse_json<Json>(text, where, "correct the file");
  if (const auto repeated = repeated_json_key(text))
    throw input_error(place(where, *repeated), "occurs twice", "keep one of the two");
  if (!json.is_object()) throw input_error(std::string(where), "not a JSON object", "write {\"name\": …}");
  return json;
}

double number_of(const Json& value, std::string_view where, std::string_view field) {
  if (!value.is_number()) throw input_error(place(where, field), value.dump() + " is not a number", "give a number");
  return value.get<double>();
}

std::int64_t integer_of(const Json& value, std::string_view where, std::string_view field) {
  const bool fits = value.is_number_unsigned() ? value.get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX)
                                               : value.is_number_integer();
  if (!fits)
    throw input_error(place(where, field), value.dump() + " is not a whole number of 64 bits", "give a whole number");
  return value.get<std::int64_t>();
}

RopePairing pairing_of(const Json& value, std::string_view where) {
  if (value == "interleaved") return RopePairing::interleaved;
  if (value == "half") return RopePairing::half;
  throw input_error(place(where, "rope_pairing"), value.dump() + " is unknown", "use \"interleaved\" or \"half\"");
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

}  // namespace

void check_shape(const ModelShape& shape, std::string_view where) {
  // The name is part of a case's text, key=value;key=value.
  const auto unfit = [](unsigned char c) { return c == ';' || c == '=' || c < ' '; };
  if (std::any_of(shape.name.begin(), shape.name.end(), unfit))
    throw input_error(place(where, "name"), "has a ';', a '=' or a control character", "use letters, digits, - and .");
  for (const auto& field : kIntegerFields) {
    const std::int64_t value = shape.*field.member;
    if (value < 1)
      throw input_error(place(where, field.name), "is " + std::to_string(value), "give a whole number of at least 1");
  }
  if (shape.heads % shape.kv_heads != 0)
    throw input_error(place(where, "heads"),
                      std::to_string(shape.heads) + " is not a multiple of kv_heads " + std::to_string(shape.kv_heads),
                      "every key/value head serves the same number of query heads");
  if (shape.head_dim % 2 != 0)
    throw input_error(place(where, "head_dim"), std::to_string(shape.head_dim) + " is odd",
                      "rotary embedding needs pairs of lanes");
  const struct {
    std::string_view name;
    double value;
    bool possible;
  } reals[] = {{"rope_base", shape.rope_base, shape.rope_base > 0},
               {"rms_eps", shape.rms_eps, shape.rms_eps > 0},
               {"residual_scale", shape.residual_scale, true}};
  for (const auto& real : reals)
    if (!std::isfinite(real.value) || !real.possible)
      throw input_error(place(where, real.name), "is " + number_text(real.value), "give a finite number in its range");
  check_sizes(shape, where);
}

const std::vector<ModelShape>& model_presets() {
  static const std::vector<ModelShape> presets = {
      preset("Stories110M", 768, 2048, 12, 12, 64, 12, 32000),
      preset("Qwen3-0.6B", 1024, 3072, 16, 8, 128, 28, 151936),
  };
  return presets;
}

ModelShape load_model_shape(std::string_view name_or_file) {
  if (name_or_file.ends_with(".json"))
    return parse_model_shape(read_text_file(std::string(name_or_file), kFileLimitBytes), name_or_file);
  std::vector<std::string> known;
  for (const ModelShape& shape : model_presets()) {
    if (lower(shape.name) == lower(name_or_file)) return shape;
    known.push_back(shape.name);
  }
  unknown_name("model", name_or_file, known);
}

ModelShape parse_model_shape(std::string_view text, std::string_view where) {
  const Json json = parse_object(text, where);
  const std::vector<std::string> known = field_names();
  for (const auto& [key, value] : json.items())
    if (std::find(known.begin(), known.end(), key) == known.end())
      unknown_name(std::string(where) + ": field", key, known);
  const auto required = [&](std::string_view field) -> const Json& {
    const auto found = json.find(std::string(field));
    if (found == json.end()) throw input_error(place(where, field), "missing", "add the field");
    return *found;
  };

  ModelShape shape;
  const Json& name = required("name");
  if (!name.is_string() || name.get<std::string>().empty())
    throw input_error(place(where, "name"), name.dump() + " is not a name", "give a text that is not empty");
  shape.name = name.get<std::string>();
  for (const auto& field : kIntegerFields) shape.*field.member = integer_of(required(field.name), where, field.name);
  if (json.contains("rope_base")) shape.rope_base = number_of(json["rope_base"], where, "rope_base");
  if (json.contains("rope_pairing")) shape.rope_pairing = pairing_of(json["rope_pairing"], where);
  if (json.contains("rms_eps")) shape.rms_eps = number_of(json["rms_eps"], where, "rms_eps");
  const Json scale = json.value("residual_scale", Json(kScaleOfDepth));
  // A file without layers has no such scale; check_shape names the field `layers` then.
  shape.residual_scale = scale != kScaleOfDepth ? number_of(scale, where, "residual_scale")
                         : shape.layers > 0     ? scale_of_depth(shape.layers)
                                                : 1.0;
  check_shape(shape, where);
  return shape;
}

std::string model_shape_json(const ModelShape& shape) {
  Json json;
  json["name"] = shape.name;
  for (const auto& field : kIntegerFields) json[std::string(field.name)] = shape.*field.member;
  json["rope_base"] = shape.rope_base;
  json["rope_pairing"] = shape.rope_pairing == RopePairing::half ? "half" : "interleaved";
  json["rms_eps"] = shape.rms_eps;
  if (shape.residual_scale == scale_of_depth(shape.layers))
    json["residual_scale"] = kScaleOfDepth;
  else
    json["residual_scale"] = shape.residual_scale;
  return json.dump(2) + "\n";
}

}  // namespace aneval
