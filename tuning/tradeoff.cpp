#include "tuning/tradeoff.h"

#include <algorithm>
#include <limits>
#include <map>

namespace aneval::tuning {

std::vector<const std::pair<Point, PointResult>*> pareto_front(
    const std::vector<const std::pair<Point, PointResult>*>& contest) {
  std::vector<const std::pair<Point, PointResult>*> sorted;
  for (const auto* each : contest)
    if (each->second.usable()) sorted.push_back(each);
  std::ranges::stable_sort(sorted, {},
                           [](const auto* each) { return std::pair(each->second.time_ns, each->second.error); });
  std::vector<const std::pair<Point, PointResult>*> front;
  double least = std::numeric_limits<double>::infinity();
  for (const auto* each : sorted)
    if (each->second.error < least) {
      front.push_back(each);
      least = each->second.error;
    }
  return front;
}

std::vector<Regret> regrets(const std::vector<std::pair<Point, PointResult>>& points) {
  struct Measured {
    std::map<std::string, double> times;  // by knobs
    std::string best, words;
  };
  std::map<std::string, std::map<std::string, Measured>> contexts;  // without profile; by profile
  for (const auto& [point, result] : points) {
    if (!result.usable()) continue;
    Point anywhere = point;
    anywhere.profile.clear();
    Measured& measured = contexts[context_text(anywhere)][point.profile];
    const std::string knobs = knobs_text(point);
    measured.words = context_words(point);
    measured.times[knobs] = result.time_ns;
    if (measured.best.empty() || result.time_ns < measured.times.at(measured.best)) measured.best = knobs;
  }
  std::vector<Regret> all;
  for (const auto& [context, profiles] : contexts)
    for (const auto& [from, theirs] : profiles)
      for (const auto& [on, here] : profiles) {
        if (from == on) continue;
        const auto found = here.times.find(theirs.best);
        all.push_back({here.words, from, on, found == here.times.end() ? 0 : found->second / here.times.at(here.best)});
      }
  return all;
}

}  // namespace aneval::tuning
