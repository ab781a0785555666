// Whether the best point of a contest is really faster than the default: both measured again in fresh processes, one of
// each per block in random order, and judged by the regression gate's statistics. The fastest of many noisy points is
// always too good to be true; this is what its lead is worth.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "reports/gate/thresholds.h"
#include "tuning/point.h"
#include "tuning/point_result.h"

namespace aneval::tuning {

/// A point is only worth its complication when it is at least this much faster: eval's tolerance of the gate.
inline constexpr double kLeastGain = 0.03;

/// The best and the default of a contest, with what the sweep found.
struct Contest {
  std::string context;
  Point plain, best;
  PointResult plain_result, best_result;
};

/// What one block measured: ln(ns) of the sweep's phases, then of the controls; empty when a process failed.
struct Block {
  std::vector<double> plain, best;
};

struct Win {
  bool measured = false;               // both sides gave enough values
  bool confirmed = false;              // faster by the gate's rule
  double gain = 0, low = 0, high = 0;  // of the default's time, 0.1 is a tenth less; with its confidence interval
  double p = 1;                        // one-sided: the lead is at most least_shift
  std::size_t blocks = 0;
};

/// Of several contests, judged together: Holm at Thresholds::alpha over their p, and a gain of kLeastGain at least.
std::vector<Win> judge_wins(const std::vector<std::vector<Block>>& contests, const gate::Thresholds& thresholds = {});

/// Whether `a` is to be preferred to `b`: faster; of equals that stages fewer bytes, then the simpler one.
bool better(const Point& a, const PointResult& of_a, const Point& b, const PointResult& of_b);

}  // namespace aneval::tuning
