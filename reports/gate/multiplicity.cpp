#include "reports/gate/multiplicity.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace aneval::gate {
namespace {

std::vector<std::size_t> ascending(const std::vector<double>& p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return p[i] < p[j]; });
  return order;
}

}  // namespace

std::vector<bool> holm(const std::vector<double>& p, double alpha) {
  std::vector<bool> rejected(p.size(), false);
  std::size_t left = p.size();
  for (const std::size_t i : ascending(p)) {
    if (!(p[i] * static_cast<double>(left) <= alpha)) break;
    rejected[i] = true;
    --left;
  }
  return rejected;
}

std::vector<bool> benjamini_hochberg(const std::vector<double>& p, double q) {
  const auto order = ascending(p);
  std::size_t last = 0;
  for (std::size_t rank = 1; rank <= order.size(); ++rank)
    if (p[order[rank - 1]] * static_cast<double>(p.size()) <= static_cast<double>(rank) * q) last = rank;
  std::vector<bool> rejected(p.size(), false);
  for (std::size_t rank = 0; rank < last; ++rank) rejected[order[rank]] = true;
  return rejected;
}

}  // namespace aneval::gate
