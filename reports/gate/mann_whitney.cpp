#include "reports/gate/mann_whitney.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace aneval::gate {
namespace {

/// The distribution needs n·m·(n·m + 1) / 2 additions; more values than this say nothing that fewer do not.
constexpr std::size_t kMostPairs = std::size_t{200} * 200;

}  // namespace

const std::vector<double>& RankSum::tail(std::size_t n, std::size_t m) {
  if (n * m > kMostPairs) throw std::logic_error("samples too large for the exact rank test");
  const auto [at, added] = tails_.try_emplace({n, m});
  std::vector<double>& tail = at->second;
  if (!added) return tail;
  // rows[i] is P_{i,j} for the j that is being made; it needs P_{i-1,j}, just made, and P_{i,j-1}, in its place.
  std::vector<std::vector<double>> rows(n + 1, std::vector<double>(n * m + 1, 0.0));
  for (auto& row : rows) row[0] = 1;  // j = 0
  for (std::size_t j = 1; j <= m; ++j)
    for (std::size_t i = 1; i <= n; ++i) {
      const double of_n = static_cast<double>(i) / static_cast<double>(i + j), of_m = 1 - of_n;
      for (std::size_t u = i * j + 1; u-- > 0;)
        rows[i][u] = of_m * rows[i][u] + (u >= j ? of_n * rows[i - 1][u - j] : 0.0);
    }
  tail = std::move(rows[n]);
  for (std::size_t u = tail.size() - 1; u-- > 0;) tail[u] += tail[u + 1];
  return tail;
}

double RankSum::upper_tail(std::size_t n, std::size_t m, std::size_t u) {
  if (u > n * m) return 0;
  return u == 0 ? 1 : tail(n, m)[u];
}

double RankSum::p_above(const std::vector<double>& a, const std::vector<double>& b, double shift) {
  std::size_t u = 0;
  for (const double y : b)
    for (const double x : a) u += y - shift > x;
  return upper_tail(b.size(), a.size(), u);
}

Shift RankSum::shift(const std::vector<double>& a, const std::vector<double>& b, double confidence) {
  if (a.empty() || b.empty()) throw std::logic_error("a shift needs values on both sides");
  std::vector<double> differences;
  differences.reserve(a.size() * b.size());
  for (const double y : b)
    for (const double x : a) differences.push_back(y - x);
  std::sort(differences.begin(), differences.end());
  const std::size_t count = differences.size();
  Shift shift;
  shift.estimate = (differences[(count - 1) / 2] + differences[count / 2]) / 2;
  // The distribution is symmetric: P(U <= k - 1) is P(U >= count - k + 1). The largest k for which it is small enough
  // leaves k - 1 differences out at either end.
  std::size_t k = 0;
  while (k < count && upper_tail(b.size(), a.size(), count - k) <= (1 - confidence) / 2) ++k;
  const double infinite = std::numeric_limits<double>::infinity();
  shift.low = k == 0 ? -infinite : differences[k - 1];
  shift.high = k == 0 ? infinite : differences[count - k];
  return shift;
}

}  // namespace aneval::gate
