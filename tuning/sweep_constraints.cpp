// Which points a sweep leaves out: its constraints, read and applied.
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "common/names.h"
#include "tuning/sweep_reader.h"

namespace aneval::tuning {
namespace {

using Json = SweepReader::Json;

/// Each value of a parameter is tried in each constraint that names it: this bounds the time of a description.
constexpr std::size_t kMaxConstraints = 256;

Test make_test(const SweepReader& read, const std::string& name, const Json& value, const std::string& key) {
  Test test;
  test.parameter = &find_parameter(name);
  const auto canonical = [&](const Json& each) {
    Point point;
    point.c.shape = model_presets().front();
    test.parameter->set(point, read.value_text(each, key));
    return test.parameter->get(point);
  };
  if (value.is_object()) {
    read.only(value, key, {"min", "max", "multiple_of", "not"});
    if (value.contains("not")) {
      if (value.size() > 1) read.fail(key, "\"not\" stands alone", "leave the rest out");
      test = make_test(read, name, value["not"], key);
      test.negated = true;
      return test;
    }
    if (value.contains("min")) test.min = read.number(value["min"], key + ".min", -1e300);
    if (value.contains("max")) test.max = read.number(value["max"], key + ".max", -1e300);
    if (value.contains("multiple_of")) test.multiple_of = read.count(value["multiple_of"], key + ".multiple_of", 1);
    if (value.empty()) read.fail(key, "says nothing", "give min, max, multiple_of or not");
    const std::string& of = test.parameter->name;
    if (of != "seq" && of != "threads" && of != "qos" && of != "loss_scale")
      read.fail(key, of + " is no number", "name its values: [\"...\"]");
  } else if (value.is_array()) {
    if (value.empty()) read.fail(key, "names no value", "name one at least");
    for (const Json& each : value) test.values.push_back(canonical(each));
  } else {
    test.values = {canonical(value)};
  }
  return test;
}

std::vector<Test> make_tests(const SweepReader& read, const Json& object, const std::string& key) {
  if (!object.is_object() || object.empty()) read.fail(key, "is no condition", "write {\"parameter\": value}");
  std::vector<Test> tests;
  for (const auto& [name, value] : object.items()) tests.push_back(make_test(read, name, value, key + "." + name));
  return tests;
}

/// A test that no value of the sweep passes makes a constraint that means something else than was meant.
void check_constraint(const SweepReader& read, const std::vector<Axis>& axes, const Constraint& constraint,
                      const std::string& key) {
  for (const auto* tests : {&constraint.when, &constraint.then})
    for (const Test& test : *tests) {
      const auto axis = std::ranges::find(axes, test.parameter, &Axis::parameter);
      if (axis == axes.end())
        read.fail(key, test.parameter->name + " is no parameter of this sweep",
                  "add it to parameters, or leave it out");
      const bool possible = std::ranges::any_of(axis->values, [&](const std::string& value) {
        Point point;
        point.c.shape = model_presets().front();
        axis->parameter->set(point, value);
        return test.holds(point);
      });
      if (!possible)
        read.fail(key, "no value of " + test.parameter->name + " can pass it", "correct the condition or the values");
    }
}

}  // namespace

bool Test::holds(const Point& point) const {
  const std::string value = parameter->get(point);
  bool inside = true;
  if (!values.empty()) {
    inside = std::ranges::find(values, value) != values.end();
  } else {
    const double number = parse_double(value, parameter->name);
    inside = (!min || number >= *min) && (!max || number <= *max) &&
             (!multiple_of || std::fmod(number, static_cast<double>(*multiple_of)) == 0);
  }
  return inside != negated;
}

bool Constraint::allows(const Point& point) const {
  const auto holds = [&](const Test& test) { return test.holds(point); };
  return !std::ranges::all_of(when, holds) || std::ranges::all_of(then, holds);
}

std::vector<Constraint> read_constraints(const SweepReader& read, const Json& list, const std::vector<Axis>& axes) {
  if (!list.is_array()) read.fail("constraints", "is no list", "write [{\"when\":…, \"then\":…}]");
  if (list.size() > kMaxConstraints)
    read.fail("constraints", "has more than " + std::to_string(kMaxConstraints) + " entries", "join some of them");
  std::vector<Constraint> constraints;
  for (const Json& each : list) {
    const std::string key = "constraints[" + std::to_string(constraints.size()) + "]";
    read.only(each, key, {"when", "then"});
    if (!each.contains("then")) read.fail(key, "has no \"then\"", "say what points must fulfil");
    Constraint constraint{each.dump(), {}, make_tests(read, each["then"], key + ".then")};
    if (each.contains("when")) constraint.when = make_tests(read, each["when"], key + ".when");
    check_constraint(read, axes, constraint, key);
    constraints.push_back(std::move(constraint));
  }
  return constraints;
}

}  // namespace aneval::tuning
