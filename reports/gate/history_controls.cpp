#include "reports/gate/history_controls.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "reports/gate/paired.h"
#include "reports/gate/rules.h"

namespace aneval::gate {

LaneControls controls_of(const Lane& lane) {
  LaneControls result;
  result.above.resize(lane.runs.size());
  std::vector<const HistorySeries*> controls;
  for (const HistorySeries& series : lane.series)
    if (series.key.phase == kControlPhase && series.key.metric == "time" && !series.points.empty())
      controls.push_back(&series);
  result.controls = controls.size();
  if (controls.empty()) return result;
  // A metric that is always 0 comes back as minus what is common to the run.
  const double none = std::numeric_limits<double>::quiet_NaN();
  std::vector<std::vector<double>> all(lane.runs.size(), std::vector<double>(controls.size() + 1, none));
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < controls.size(); ++i) {
    places.push_back(i);
    for (const Point& p : controls[i]->points)
      if (p.value) all[p.run][i] = std::log(*p.value);
  }
  Processes runs;
  std::vector<std::size_t> numbers;
  for (std::size_t run = 0; run < all.size(); ++run) {
    if (std::none_of(all[run].begin(), all[run].end(), [](double v) { return std::isfinite(v); })) continue;
    all[run].back() = 0;
    numbers.push_back(run);
    runs.a.push_back(std::move(all[run]));
  }
  remove_common_mode(runs, places);
  for (std::size_t i = 0; i < numbers.size(); ++i) result.above[numbers[i]] = -runs.a[i].back();
  return result;
}

}  // namespace aneval::gate
