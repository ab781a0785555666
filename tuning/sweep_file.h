// A sweep as a file: which values of which parameters, what rules out points, how much may be spent, and how points are
// measured. docs/tuning.md describes the JSON; examples/sweeps/ has some for common questions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tuning/point.h"

namespace aneval::tuning {

/// A parameter with the values that the sweep gives it, none twice, in the file's order.
struct Axis {
  const Parameter* parameter;
  std::vector<std::string> values;
};

/// What a parameter of a condition must be: one of `values`, or a number in a range.
struct Test {
  const Parameter* parameter;
  std::vector<std::string> values;  // empty: the range
  std::optional<double> min, max;
  std::optional<std::int64_t> multiple_of;
  bool negated = false;

  bool holds(const Point& point) const;
};

/// Points that pass `when` must pass `then`.
struct Constraint {
  std::string text;  // as in the file, for reasons
  std::vector<Test> when, then;

  bool allows(const Point& point) const;
};

struct Budget {
  std::optional<std::int64_t> points, compiles;
  std::optional<double> seconds;
};

enum class Method { automatic, exhaustive, random };

struct SweepFile {
  std::string name, note;
  std::vector<Axis> axes;
  std::vector<Constraint> constraints;
  Budget budget;
  Method method = Method::automatic;
  std::uint64_t seed = 1;
  std::vector<std::string> phases;  // whose times are added up: what a point costs
  std::int64_t repetitions = 5, iterations = 5;
  double time_limit = 120;            // seconds of one point
  std::int64_t confirm_blocks = 9;    // processes of winner and of default each; 0: winners are not confirmed
  std::optional<double> error_ratio;  // a winner's error against the default's, at most
  std::string identity;               // the whole description, normalised: journals of another sweep are refused by it

  /// Points of the product of all axes. At most 2^62: more is an error when the file is read.
  std::int64_t product() const;
  /// The point of that number; the last axis counts fastest.
  Point point(std::int64_t number) const;
  /// For all points, when the file does not vary it.
  void set_profile(const std::string& profile);
};

/// Errors (exit 2) name file and key: no JSON, unknown keys, parameters or values (with the nearest known one), an
/// empty list, a value twice, a range that ends before it begins or never does, budgets of zero, constraints that no
/// value of the sweep can pass.
SweepFile read_sweep_file(const std::filesystem::path& file);
/// `folder`: where model files with a relative path lie.
SweepFile parse_sweep(std::string_view json, const std::string& where, const std::filesystem::path& folder = {});

}  // namespace aneval::tuning
