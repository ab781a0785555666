#include "common/statistics.h"

#include <algorithm>
#include <cstddef>
#include <stdexcept>

namespace aneval {

double quantile(const std::vector<double>& sorted, double q) {
  if (sorted.empty()) throw std::logic_error("a quantile of nothing");
  const double place = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return quantile(values, 0.5);
}

}  // namespace aneval
