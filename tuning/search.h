// In which order the points of a sweep are tried. All of them when the budget allows that; else the defaults, points at
// random from the sweep's seed, and then one knob at a time away from the best of each contest.
//
// What comes next depends on the sweep, its seed and the results so far, on nothing else: a sweep that goes on after a
// crash tells the results it has in their order and continues as if nothing had happened.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/random.h"
#include "tuning/plan.h"
#include "tuning/sweep_file.h"

namespace aneval::tuning {

/// Part `index` (from 1) of `count`.
struct Shard {
  std::int64_t index = 1, count = 1;
};

class Search {
 public:
  /// Enumerates the product when it has at most kEnumerable points. Errors (exit 2): no point is left by the
  /// constraints (with what excludes how many), method exhaustive with a budget that is too small, or with a product
  /// that is too large to enumerate; a shard without points.
  Search(const SweepFile& file, const Shard& shard);

  /// The next point, or nothing when there is no other worth trying. Never one twice, nor one that is the same work as
  /// another.
  std::optional<Point> next();
  /// What became of the last one: a cost, or nothing when it failed.
  void tell(const Point& point, std::optional<double> cost);

  bool exhaustive() const { return exhaustive_; }
  /// Of the enumerated product: what can run, is the same as another point, and cannot run, by reason.
  std::int64_t runnable() const { return static_cast<std::int64_t>(points_.size()); }
  std::int64_t same() const { return same_; }
  const std::map<std::string, std::int64_t>& refused() const { return refused_; }
  const std::vector<std::pair<Point, std::string>>& refused_points() const { return refused_points_; }

  static constexpr std::int64_t kEnumerable = 100'000;
  /// Part of a budget that is spent at random before the search becomes local.
  static constexpr double kRandomShare = 0.5;

 private:
  struct Contest {
    std::optional<Point> best;
    double cost = 0;
    std::vector<Point> neighbours;  // of the best, untried, last first
    std::int64_t tries = 0;         // of neighbours
  };

  void enumerate(const Shard& shard);
  bool take(Point& point);  // whether it is new and can run; it is made as simple as the same work can be told
  std::optional<Point> random_point();
  std::optional<Point> local_point();
  std::vector<Point> neighbours(const Point& point);

  const SweepFile& file_;
  Planner planner_;
  Random random_;
  bool exhaustive_ = false, enumerated_ = false;
  std::vector<Point> points_;  // runnable, in their order
  std::size_t place_ = 0;      // of the next one in points_, or in the defaults
  std::vector<std::size_t> shuffled_;
  std::int64_t random_left_ = 0, same_ = 0;
  std::set<std::string> mine_;   // identities of points_
  std::set<std::string> taken_;  // identities that were proposed
  std::map<std::string, std::int64_t> refused_;
  std::vector<std::pair<Point, std::string>> refused_points_;
  std::map<std::string, Contest> contests_;
  std::vector<Point> defaults_;
};

}  // namespace aneval::tuning
