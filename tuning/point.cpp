#include "tuning/point.h"

#include <algorithm>
#include <map>

#include "ane/emulator/profile.h"
#include "ane/kernels/kernel.h"
#include "ane/layer_plan.h"
#include "common/error.h"
#include "common/names.h"

namespace aneval::tuning {
namespace {

constexpr std::int64_t kMaxThreads = 1024;

std::int64_t positive(const std::string& text, const std::string& what, std::int64_t most) {
  const std::int64_t value = parse_int(text, what);
  if (value < 1 || value > most)
    throw input_error(what, text + " is not from 1 to " + std::to_string(most), "give such a number");
  return value;
}

std::vector<std::string> kernel_names() {
  const ane::KernelRegistry registry = ane::KernelRegistry::builtin();
  std::vector<std::string> names;
  for (const ane::KernelSpec& spec : registry.all())
    if (spec.name != "dynMatmul") names.push_back(spec.name);  // belongs to no layer; has sizes of its own
  names.emplace_back("layer");
  return names;
}

std::vector<std::string> profile_names() {
  std::vector<std::string> names;
  for (const emulator::Profile& profile : emulator::profiles()) names.push_back(profile.name);
  return names;
}

Parameter choice_parameter(const ane::VariantChoice& choice) {
  const std::string key(choice.key);
  // Another head map is another layer, not another way to compute it.
  return {key,
          key == "head_map" ? Role::context : Role::knob,
          {choice.values.begin(), choice.values.end()},
          [&choice](const Point& p) { return std::string(choice.values[choice.get(p.c.variant)]); },
          [key](Point& p, const std::string& value) { ane::set_choice(p.c.variant, key, value); }};
}

std::vector<Parameter> make_parameters() {
  std::vector<Parameter> all;
  all.push_back({"kernel", Role::context, kernel_names(), [](const Point& p) { return p.c.kernel; },
                 [](Point& p, const std::string& value) {
                   const auto known = kernel_names();
                   if (std::ranges::find(known, value) == known.end()) unknown_name("kernel", value, known);
                   p.c.kernel = value;
                 }});
  all.push_back({"model",
                 Role::context,
                 {},
                 [](const Point& p) { return p.c.shape.name; },
                 [](Point& p, const std::string& value) { p.c.shape = load_model_shape(value); }});
  all.push_back({"seq",
                 Role::context,
                 {},
                 [](const Point& p) { return std::to_string(p.c.shape.seq); },
                 [](Point& p, const std::string& value) {
                   p.c.shape.seq = positive(value, "seq", 1 << 20);
                   check_shape(p.c.shape, "seq " + value);
                 }});
  all.push_back({"loss_scale",
                 Role::context,
                 {},
                 [](const Point& p) { return number_text(p.c.loss_scale); },
                 [](Point& p, const std::string& value) {
                   const double scale = parse_double(value, "loss_scale");
                   if (!(scale > 0) || scale > 0x1p100)
                     throw input_error("loss_scale", value + " is no positive number", "give a power of two, e.g. 256");
                   p.c.loss_scale = scale;
                 }});
  all.push_back({"profile", Role::context, profile_names(), [](const Point& p) { return p.profile; },
                 [](Point& p, const std::string& value) {
                   (void)emulator::find_profile(value);
                   p.profile = value;
                 }});
  for (const ane::VariantChoice& choice : ane::variant_choices()) all.push_back(choice_parameter(choice));
  all.push_back({"qos",
                 Role::knob,
                 {},
                 [](const Point& p) { return std::to_string(p.qos); },
                 [](Point& p, const std::string& value) {
                   const std::int64_t qos = parse_int(value, "qos");
                   if (qos < 0 || qos > 63)
                     throw input_error("qos", value + " is not from 0 to 63", "give a quality of service, e.g. 21");
                   p.qos = static_cast<unsigned>(qos);
                 }});
  all.push_back({"threads",
                 Role::knob,
                 {},
                 [](const Point& p) { return std::to_string(p.threads); },
                 [](Point& p, const std::string& value) { p.threads = positive(value, "threads", kMaxThreads); }});
  return all;
}

/// name=value of the parameters that are not of the case and not default.
std::string settings_text(const Point& point) {
  std::string text;
  if (!point.profile.empty()) text += "profile=" + point.profile + ";";
  if (point.qos != Point{}.qos) text += "qos=" + std::to_string(point.qos) + ";";
  if (point.threads != Point{}.threads) text += "threads=" + std::to_string(point.threads) + ";";
  return text;
}

/// The simplest variant whose layer has the kernel: the default, or the one choice that cuts it.
const ane::Variant& home_of(const std::string& kernel) {
  static const std::map<std::string, ane::Variant> homes = [] {
    std::map<std::string, ane::Variant> all;
    for (const std::string& name : ane::layer_plan({}).kernels()) all.emplace(name, ane::Variant{});
    for (const ane::VariantChoice& choice : ane::variant_choices())
      for (std::size_t value = 1; value < choice.values.size(); ++value) {
        ane::Variant variant;
        choice.set(variant, value);
        for (const std::string& name : ane::layer_plan(variant).kernels()) all.emplace(name, variant);
      }
    return all;
  }();
  static const ane::Variant none;
  const auto found = homes.find(kernel);
  return found == homes.end() ? none : found->second;
}

}  // namespace

const std::vector<Parameter>& parameters() {
  static const std::vector<Parameter> all = make_parameters();
  return all;
}

const Parameter& find_parameter(std::string_view name) {
  std::vector<std::string> known;
  for (const Parameter& parameter : parameters()) {
    if (parameter.name == name) return parameter;
    known.push_back(parameter.name);
  }
  unknown_name("parameter", name, known);
}

std::string point_text(const Point& point) { return settings_text(point) + validate::case_text(point.c); }

Point parse_point(std::string_view text, std::string_view what) {
  Point point;
  std::vector<std::string> of_case;
  for (const auto& [name, value] : parse_pairs(text, what)) {
    if (name == "profile" || name == "qos" || name == "threads")
      find_parameter(name).set(point, value);
    else
      of_case.push_back(name + "=" + value);
  }
  point.c = validate::parse_case(join(of_case, ";"));
  return point;
}

Point default_of(const Point& point) {
  static const Point untouched;
  Point plain = point;
  for (const Parameter& parameter : parameters())
    if (parameter.role == Role::knob) parameter.set(plain, parameter.get(untouched));
  const ane::HeadMap heads = point.c.variant.head_map;
  if (point.c.kernel != "layer") plain.c.variant = home_of(point.c.kernel);
  plain.c.variant.head_map = heads;
  return plain;
}

std::string context_text(const Point& point) { return point_text(default_of(point)); }

std::string context_words(const Point& point) {
  std::string words = point.c.kernel + " " + point.c.shape.name + " S " + std::to_string(point.c.shape.seq);
  for (const char* name : {"head_map", "loss_scale"}) {
    const Parameter& parameter = find_parameter(name);
    if (parameter.get(point) != parameter.get(Point{})) words += " " + parameter.name + "=" + parameter.get(point);
  }
  return words;
}

std::string knobs_text(const Point& point) {
  std::vector<std::string> parts;
  const Point plain = default_of(point);
  for (const Parameter& parameter : parameters())
    if (parameter.role == Role::knob && parameter.get(point) != parameter.get(plain))
      parts.push_back(parameter.name + "=" + parameter.get(point));
  return parts.empty() ? "default" : join(parts, ";");
}

std::size_t knobs_turned(const Point& point) {
  const Point plain = default_of(point);
  return static_cast<std::size_t>(std::ranges::count_if(parameters(), [&](const Parameter& parameter) {
    return parameter.role == Role::knob && parameter.get(point) != parameter.get(plain);
  }));
}

}  // namespace aneval::tuning
