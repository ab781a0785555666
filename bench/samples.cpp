#include "bench/samples.h"

#include <algorithm>
#include <numeric>

#include "common/statistics.h"

namespace aneval::bench {

std::vector<double> samples_of(const Series& series) {
  const std::vector<double>& ns = series.ns;
  if (ns.size() <= kSamplesPerSeries) return ns;
  std::vector<double> samples;
  for (std::size_t group = 0; group < kSamplesPerSeries; ++group) {
    const std::size_t begin = group * ns.size() / kSamplesPerSeries, end = (group + 1) * ns.size() / kSamplesPerSeries;
    const auto at = [&](std::size_t i) { return ns.begin() + static_cast<std::ptrdiff_t>(i); };
    samples.push_back(std::accumulate(at(begin), at(end), 0.0) / static_cast<double>(end - begin));
  }
  return samples;
}

bool Stability::reached() const {
  constexpr std::size_t kWindow = 3, kMedians = 3;
  if (times_.size() < kWindow + kMedians - 1) return false;
  double lowest = 0, highest = 0;
  for (std::size_t back = 0; back < kMedians; ++back) {
    const auto end = times_.end() - static_cast<std::ptrdiff_t>(back);
    const double middle = median({end - kWindow, end});
    lowest = back == 0 ? middle : std::min(lowest, middle);
    highest = back == 0 ? middle : std::max(highest, middle);
  }
  return highest <= lowest * (1 + kStableSpread);
}

}  // namespace aneval::bench
