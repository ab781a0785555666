#include "tuning/sweep_file.h"

#include <algorithm>

#include "common/error.h"
#include "common/files.h"
#include "common/json_check.h"
#include "common/names.h"
#include "tuning/sweep_reader.h"

namespace aneval::tuning {
namespace {

using Json = SweepReader::Json;

constexpr std::size_t kMaxFile = 1 << 17, kMaxValues = 4096;  // they bound the time that a description takes
constexpr std::int64_t kMaxProduct = std::int64_t{1} << 62;

/// {"from": 64, "to": 256, "step": 64} or {"from": 32, "to": 512, "factor": 2}.
std::vector<std::string> range_values(const SweepReader& read, const Json& range, const std::string& key) {
  read.only(range, key, {"from", "to", "step", "factor"});
  if (!range.contains("from") || !range.contains("to") || range.contains("step") == range.contains("factor"))
    read.fail(key, "is no range", "give from, to, and either step or factor");
  const std::int64_t from = read.count(range["from"], key + ".from", 1), to = read.count(range["to"], key + ".to", 1);
  if (to < from) read.fail(key, "ends before it begins", "let from be at most to");
  const bool adds = range.contains("step");
  const std::int64_t step =
      adds ? read.count(range["step"], key + ".step", 1) : read.count(range["factor"], key + ".factor", 2);
  std::vector<std::string> values;
  for (std::int64_t value = from;; value = adds ? value + step : value * step) {
    values.push_back(std::to_string(value));
    if (values.size() > kMaxValues)
      read.fail(key, "has more than " + std::to_string(kMaxValues) + " values", "take larger steps");
    // The next one would be beyond the range, and perhaps beyond 64 bits.
    if (adds ? value > to - step : value > to / step) return values;
  }
}

std::vector<std::string> axis_values(const SweepReader& read, const Parameter& parameter, const Json& value) {
  const std::string key = "parameters." + parameter.name;
  if (value == "all") {
    if (parameter.values.empty())
      read.fail(key, "\"all\" has no meaning here: it takes any value", "list the values, or give a range");
    return parameter.values;
  }
  std::vector<std::string> values;
  if (value.is_object()) {
    values = range_values(read, value, key);
  } else if (value.is_array()) {
    for (const Json& each : value) values.push_back(read.value_text(each, key));
  } else {
    values = {read.value_text(value, key)};
  }
  if (values.empty()) read.fail(key, "is empty, and with it the whole product", "give at least one value");
  if (values.size() > kMaxValues)
    read.fail(key, "has more than " + std::to_string(kMaxValues) + " values", "give fewer");
  return values;
}

/// Values as the parameter itself writes them, each checked by giving it to a point.
Axis make_axis(const SweepReader& read, const std::string& name, const Json& value) {
  Axis axis{&find_parameter(name), {}};
  for (std::string text : axis_values(read, *axis.parameter, value)) {
    // A model file is named from where the sweep's file lies.
    if (name == "model" && text.ends_with(".json")) text = (read.folder / text).lexically_normal().string();
    Point point;
    point.c.shape = model_presets().front();
    try {
      axis.parameter->set(point, text);
    } catch (const Error& error) {
      throw Error(error.code(), read.where + ": parameters." + name + ": " + error.subject(), error.reason(),
                  error.remedy());
    }
    // A model's own text is its name; the file is what finds it again.
    const std::string canonical = name == "model" ? text : axis.parameter->get(point);
    if (std::ranges::find(axis.values, canonical) != axis.values.end())
      read.fail("parameters." + name, "has " + canonical + " twice", "list every value once");
    axis.values.push_back(canonical);
  }
  return axis;
}

void read_budget(const SweepReader& read, const Json& object, Budget& budget) {
  read.only(object, "budget", {"points", "seconds", "compiles"});
  if (object.contains("points")) budget.points = read.count(object["points"], "budget.points", 1);
  if (object.contains("compiles")) budget.compiles = read.count(object["compiles"], "budget.compiles", 1);
  if (object.contains("seconds")) budget.seconds = read.number(object["seconds"], "budget.seconds", 1e-3);
}

void read_search(const SweepReader& read, const Json& object, SweepFile& file) {
  read.only(object, "search", {"method", "seed"});
  if (object.contains("method")) {
    const std::vector<std::string> known = {"auto", "exhaustive", "random"};
    const std::string name = read.value_text(object["method"], "search.method");
    const auto found = std::ranges::find(known, name);
    if (found == known.end()) unknown_name(read.where + ": search.method", name, known);
    file.method = static_cast<Method>(found - known.begin());
  }
  if (object.contains("seed")) file.seed = static_cast<std::uint64_t>(read.count(object["seed"], "search.seed", 0));
}

void read_measure(const SweepReader& read, const Json& object, SweepFile& file) {
  read.only(object, "measure", {"phases", "repetitions", "iterations", "time_limit"});
  if (object.contains("phases")) {
    const std::vector<std::string> known = {"stage_weights", "write_acts", "eval", "read", "copy"};
    if (!object["phases"].is_array() || object["phases"].empty())
      read.fail("measure.phases", "is no list of phases", "give some of " + join(known, ", "));
    for (const Json& each : object["phases"]) {
      const std::string name = read.value_text(each, "measure.phases");
      if (std::ranges::find(known, name) == known.end()) unknown_name(read.where + ": phase", name, known);
      if (std::ranges::find(file.phases, name) != file.phases.end())
        read.fail("measure.phases", "has " + name + " twice", "list every phase once");
      file.phases.push_back(name);
    }
  }
  if (object.contains("repetitions")) file.repetitions = read.count(object["repetitions"], "measure.repetitions", 1);
  if (object.contains("iterations")) file.iterations = read.count(object["iterations"], "measure.iterations", 1);
  if (object.contains("time_limit")) file.time_limit = read.number(object["time_limit"], "measure.time_limit", 0.1);
}

void read_confirm(const SweepReader& read, const Json& object, SweepFile& file) {
  read.only(object, "confirm", {"blocks", "error_ratio"});
  if (object.contains("blocks")) file.confirm_blocks = read.count(object["blocks"], "confirm.blocks", 0);
  if (object.contains("error_ratio")) file.error_ratio = read.number(object["error_ratio"], "confirm.error_ratio", 0);
}

void check_product(const SweepReader& read, const SweepFile& file) {
  std::int64_t product = 1;
  for (const Axis& axis : file.axes)
    if (__builtin_mul_overflow(product, static_cast<std::int64_t>(axis.values.size()), &product) ||
        product > kMaxProduct)
      read.fail("parameters", "their product has more than 2^62 points", "leave parameters or values out");
}

/// In the order of parameters(): a model is set before its seq.
void sort_axes(std::vector<Axis>& axes) {
  std::ranges::sort(axes, {}, [](const Axis& axis) { return axis.parameter - parameters().data(); });
}

}  // namespace

std::int64_t SweepFile::product() const {
  std::int64_t product = 1;
  for (const Axis& axis : axes) product *= static_cast<std::int64_t>(axis.values.size());
  return product;
}

Point SweepFile::point(std::int64_t number) const {
  std::vector<const std::string*> values(axes.size());
  for (std::size_t i = axes.size(); i-- > 0;) {
    const auto size = static_cast<std::int64_t>(axes[i].values.size());
    values[i] = &axes[i].values[static_cast<std::size_t>(number % size)];
    number /= size;
  }
  Point point;
  for (std::size_t i = 0; i < axes.size(); ++i) axes[i].parameter->set(point, *values[i]);
  return point;
}

void SweepFile::set_profile(const std::string& profile) {
  const Parameter& parameter = find_parameter("profile");
  if (std::ranges::find(axes, &parameter, &Axis::parameter) != axes.end()) return;
  axes.push_back({&parameter, {profile}});
  sort_axes(axes);
}

SweepFile parse_sweep(std::string_view text, const std::string& where, const std::filesystem::path& folder) {
  const auto json = parse_json<Json>(text, where, "correct the file");
  const SweepReader read{where, folder};
  read.only(json, "", {"name", "note", "parameters", "constraints", "budget", "search", "measure", "confirm"});
  SweepFile file;
  if (json.contains("name")) file.name = read.value_text(json["name"], "name");
  if (json.contains("note")) file.note = read.value_text(json["note"], "note");
  if (!json.contains("parameters") || !json["parameters"].is_object() || json["parameters"].empty())
    read.fail("parameters", "there is none", "give {\"kernel\": [...], ...}: what the sweep varies");
  for (const auto& [name, value] : json["parameters"].items()) file.axes.push_back(make_axis(read, name, value));
  for (const char* needed : {"kernel", "model"})
    if (std::ranges::find(file.axes, &find_parameter(needed), &Axis::parameter) == file.axes.end())
      read.fail("parameters", std::string("has no ") + needed, "name one at least");
  sort_axes(file.axes);
  check_product(read, file);
  if (json.contains("constraints")) file.constraints = read_constraints(read, json["constraints"], file.axes);
  if (json.contains("budget")) read_budget(read, json["budget"], file.budget);
  if (json.contains("search")) read_search(read, json["search"], file);
  if (json.contains("measure")) read_measure(read, json["measure"], file);
  if (file.phases.empty()) file.phases = {"write_acts", "eval", "read"};
  if (json.contains("confirm")) read_confirm(read, json["confirm"], file);
  Json identity = json;
  identity.erase("note");
  file.identity = identity.dump();
  return file;
}

SweepFile read_sweep_file(const std::filesystem::path& file) {
  return parse_sweep(read_text_file(file, kMaxFile), file.string(), file.parent_path());
}

}  // namespace aneval::tuning
