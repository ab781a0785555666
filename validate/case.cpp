#include "validate/case.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <vector>

#include "ane/variant_rules.h"
#include "common/error.h"
#include "common/names.h"

namespace aneval::validate {
namespace {

// In the order of the enumeration.
constexpr std::array<std::string_view, 7> kDataKinds = {"random", "exact", "real", "init", "sinks", "means", "repeats"};

/// One key of the text: how it is written (empty: left out) and how it is read.
struct Key {
  std::string name;
  std::function<std::string(const Case&)> write;
  std::function<void(Case&, const std::string&)> read;
};

bool is_preset(const ModelShape& shape) {
  for (ModelShape preset : model_presets()) {
    preset.seq = shape.seq;
    if (preset == shape) return true;
  }
  return false;
}

/// A finite number above zero.
double positive(const std::string& text, const std::string& key, const char* example) {
  const double value = parse_double(text, "case key " + key);
  if (!(value > 0) || !std::isfinite(value))
    throw input_error("case key " + key, "is no positive number: '" + text + "'", example);
  return value;
}

Key dimension(const std::string& name, std::int64_t ModelShape::* field) {
  const std::string what = "case key " + name;
  return {name, [field](const Case& c) { return is_preset(c.shape) ? "" : std::to_string(c.shape.*field); },
          [field, what](Case& c, const std::string& text) { c.shape.*field = parse_int(text, what); }};
}

Key shape_number(const std::string& name, double ModelShape::* field, double fallback) {
  const std::string what = "case key " + name;
  return {name,
          [field, fallback](const Case& c) {
            return is_preset(c.shape) || c.shape.*field == fallback ? "" : number_text(c.shape.*field);
          },
          [field, what](Case& c, const std::string& text) { c.shape.*field = parse_double(text, what); }};
}

void add_shape_keys(std::vector<Key>& keys) {
  keys.push_back({"model", [](const Case& c) { return c.shape.name; },
                  [](Case& c, const std::string& text) { c.shape.name = text; }});
  keys.push_back({"seq", [](const Case& c) { return std::to_string(c.shape.seq); },
                  [](Case& c, const std::string& text) { c.shape.seq = parse_int(text, "case key seq"); }});
  keys.push_back(dimension("dim", &ModelShape::dim));
  keys.push_back(dimension("hidden", &ModelShape::hidden));
  keys.push_back(dimension("heads", &ModelShape::heads));
  keys.push_back(dimension("kv_heads", &ModelShape::kv_heads));
  keys.push_back(dimension("head_dim", &ModelShape::head_dim));
  keys.push_back(dimension("layers", &ModelShape::layers));
  keys.push_back(dimension("vocab", &ModelShape::vocab));
  keys.push_back(shape_number("residual_scale", &ModelShape::residual_scale, 1.0));
  keys.push_back(shape_number("rope_base", &ModelShape::rope_base, 10000.0));
  keys.push_back(shape_number("rms_eps", &ModelShape::rms_eps, 1e-5));
  keys.push_back({"rope_pairing",
                  [](const Case& c) {
                    return is_preset(c.shape) || c.shape.rope_pairing == RopePairing::interleaved ? "" : "half";
                  },
                  [](Case& c, const std::string& text) {
                    if (text != "half" && text != "interleaved")
                      unknown_name("rope_pairing", text, {"interleaved", "half"});
                    c.shape.rope_pairing = text == "half" ? RopePairing::half : RopePairing::interleaved;
                  }});
}

void add_variant_keys(std::vector<Key>& keys) {
  for (const ane::VariantChoice& choice : ane::variant_choices()) {
    const std::string name(choice.key);
    keys.push_back({name,
                    [&choice](const Case& c) {
                      const std::size_t value = choice.get(c.variant);
                      return value == 0 ? std::string() : std::string(choice.values[value]);
                    },
                    [name](Case& c, const std::string& text) { ane::set_choice(c.variant, name, text); }});
  }
}

const std::vector<Key>& keys() {
  static const std::vector<Key> table = [] {
    std::vector<Key> k;
    k.push_back(
        {"kernel", [](const Case& c) { return c.kernel; }, [](Case& c, const std::string& text) { c.kernel = text; }});
    add_shape_keys(k);
    add_variant_keys(k);
    const auto size = [](const std::string& name, std::int64_t Case::* field) {
      const std::string what = "case key " + name;
      return Key{name, [field](const Case& c) { return c.*field == 0 ? "" : std::to_string(c.*field); },
                 [field, what](Case& c, const std::string& text) { c.*field = parse_int(text, what); }};
    };
    k.push_back(size("ic", &Case::ic));
    k.push_back(size("oc", &Case::oc));
    k.push_back({"data", [](const Case& c) { return std::string(data_kind_name(c.data)); },
                 [](Case& c, const std::string& text) {
                   for (std::size_t i = 0; i < kDataKinds.size(); ++i)
                     if (kDataKinds[i] == text) return void(c.data = static_cast<DataKind>(i));
                   unknown_name("data kind", text, {kDataKinds.begin(), kDataKinds.end()});
                 }});
    k.push_back({"amp", [](const Case& c) { return number_text(c.amplitude); },
                 [](Case& c, const std::string& text) {
                   c.amplitude = positive(text, "amp", "give the size of activations, e.g. 1");
                 }});
    k.push_back({"grad", [](const Case& c) { return c.gradient == 1.0 ? "" : number_text(c.gradient); },
                 [](Case& c, const std::string& text) {
                   c.gradient = positive(text, "grad", "give the size of gradients, e.g. 0.001");
                 }});
    k.push_back({"loss_scale", [](const Case& c) { return c.loss_scale == 1.0 ? "" : number_text(c.loss_scale); },
                 [](Case& c, const std::string& text) {
                   c.loss_scale = positive(text, "loss_scale", "give a power of two, e.g. 256");
                 }});
    k.push_back({"seed", [](const Case& c) { return std::to_string(c.seed); },
                 [](Case& c, const std::string& text) {
                   const std::int64_t seed = parse_int(text, "case key seed");
                   if (seed < 0) throw input_error("case key seed", "is negative", "give a seed of 0 or more");
                   c.seed = static_cast<std::uint64_t>(seed);
                 }});
    k.push_back({"layer", [](const Case& c) { return c.layer ? std::to_string(*c.layer) : ""; },
                 [](Case& c, const std::string& text) { c.layer = parse_int(text, "case key layer"); }});
    return k;
  }();
  return table;
}

const Key& find_key(std::string_view name) {
  std::vector<std::string> known;
  for (const Key& key : keys()) {
    if (key.name == name) return key;
    known.push_back(key.name);
  }
  unknown_name("case key", name, known);
}

}  // namespace

bool is_structured(DataKind kind) {
  return std::find(std::begin(kStructuredKinds), std::end(kStructuredKinds), kind) != std::end(kStructuredKinds);
}

std::string_view data_kind_name(DataKind kind) { return kDataKinds.at(static_cast<std::size_t>(kind)); }

std::string case_text(const Case& c) {
  std::vector<std::string> parts;
  for (const Key& key : keys())
    if (const std::string value = key.write(c); !value.empty()) parts.push_back(key.name + "=" + value);
  return join(parts, ";");
}

Case parse_case(std::string_view text, const Case& base) {
  Case c = base;
  const auto pairs = parse_pairs(text, "case");
  const auto given = [&](std::string_view key) {
    return std::any_of(pairs.begin(), pairs.end(), [&](const auto& pair) { return pair.first == key; });
  };
  // The shape first, whatever its place. One that is spelled out starts from nothing, because the text leaves out what
  // is default; otherwise a preset brings all dimensions, and other keys change them.
  if (given("dim")) c.shape = ModelShape{};
  for (const auto& [name, value] : pairs) {
    if (name != "model") continue;
    if (given("dim"))
      c.shape.name = value;
    else
      c.shape = load_model_shape(value);
  }
  for (const auto& [name, value] : pairs)
    if (name != "model") find_key(name).read(c, value);
  check_shape(c.shape, "case '" + std::string(text) + "'");
  ane::check_variant(c.variant);
  return c;
}

bool matches(const Case& c, std::string_view filter) {
  if (filter.empty()) return true;
  for (const auto& [name, value] : parse_pairs(filter, "case filter")) {
    const Key& key = find_key(name);
    // Compare canonical texts, so that amp=1.0 fits amp=1 and pad=none fits a case that leaves it out.
    Case wanted = c;
    key.read(wanted, value);
    if (key.write(wanted) != key.write(c)) return false;
  }
  return true;
}

}  // namespace aneval::validate
