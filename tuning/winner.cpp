#include "tuning/winner.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "reports/gate/multiplicity.h"
#include "reports/gate/paired.h"

namespace aneval::tuning {
namespace {

/// A is the default, B the best point; metric 0 is the subject, the others controls.
gate::Processes processes_of(const std::vector<Block>& blocks, std::size_t metrics) {
  gate::Processes processes;
  const auto row = [&](const std::vector<double>& values) {
    std::vector<double> padded = values;
    padded.resize(metrics, std::numeric_limits<double>::quiet_NaN());
    return padded;
  };
  for (const Block& block : blocks) {
    processes.a.push_back(row(block.plain));
    processes.b.push_back(row(block.best));
  }
  return processes;
}

Win judge(const std::vector<Block>& blocks, gate::RankSum& ranks, const gate::Thresholds& thresholds) {
  std::size_t metrics = 0;
  for (const Block& block : blocks) metrics = std::max({metrics, block.plain.size(), block.best.size()});
  Win win;
  if (metrics == 0) return win;
  gate::Processes processes = processes_of(blocks, metrics);
  std::vector<std::size_t> controls;
  for (std::size_t i = 1; i < metrics; ++i) controls.push_back(i);
  gate::remove_common_mode(processes, controls);
  const auto change = gate::change_of(processes, 0, ranks, thresholds);
  if (!change) return win;
  win.measured = true;
  win.blocks = std::min(change->a, change->b);
  win.gain = 1 - std::exp(change->shift.estimate);
  win.low = 1 - std::exp(change->shift.high);
  win.high = 1 - std::exp(change->shift.low);
  win.p = change->p_faster;
  return win;
}

}  // namespace

std::vector<Win> judge_wins(const std::vector<std::vector<Block>>& contests, const gate::Thresholds& thresholds) {
  gate::RankSum ranks;
  std::vector<Win> wins;
  std::vector<double> p;
  for (const auto& blocks : contests) {
    wins.push_back(judge(blocks, ranks, thresholds));
    p.push_back(wins.back().p);
  }
  const std::vector<bool> significant = gate::holm(p, thresholds.alpha);
  for (std::size_t i = 0; i < wins.size(); ++i)
    wins[i].confirmed = wins[i].measured && significant[i] && wins[i].gain >= kLeastGain;
  return wins;
}

bool better(const Point& a, const PointResult& of_a, const Point& b, const PointResult& of_b) {
  return std::tuple(of_a.time_ns, of_a.bytes, knobs_turned(a)) < std::tuple(of_b.time_ns, of_b.bytes, knobs_turned(b));
}

}  // namespace aneval::tuning
