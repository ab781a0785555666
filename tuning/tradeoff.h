// What a sweep's points say together: which ones are worth their error, and what it costs to run one chip's best on
// another.
#pragma once

#include <string>
#include <vector>

#include "tuning/sweep.h"

namespace aneval::tuning {

/// Of the usable points of one contest those that no other beats in time without being worse in error, fastest first;
/// of equal ones the first.
std::vector<const std::pair<Point, PointResult>*> pareto_front(
    const std::vector<const std::pair<Point, PointResult>*>& contest);

/// The best knobs of profile `from` on profile `on`: their time there over the best time there, for one kernel, model
/// and size.
struct Regret {
  std::string context;  // in words
  std::string from, on;
  double ratio = 0;  // 0: not measured there, or not usable
};
/// All ordered pairs of profiles that share a context.
std::vector<Regret> regrets(const std::vector<std::pair<Point, PointResult>>& points);

}  // namespace aneval::tuning
