#include "validate/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "ane/half.h"

namespace aneval::validate {

Metrics compute_metrics(std::span<const float> got, std::span<const double> reference) {
  Metrics m;
  double error2 = 0, reference2 = 0, got2 = 0, dot = 0;
  std::int64_t underflows = 0, zeros = 0, nonzero_references = 0;
  std::vector<double> ulps;
  ulps.reserve(got.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double g = static_cast<double>(got[i]), r = reference[i];
    if (std::isnan(g)) {
      ++m.nan_count;
      continue;
    }
    if (std::isinf(g)) {
      ++m.inf_count;
      continue;
    }
    nonzero_references += r != 0 ? 1 : 0;
    zeros += g == 0 && r != 0 ? 1 : 0;
    underflows += g == 0 && std::abs(r) >= 0x1p-24 ? 1 : 0;
    const double e = std::abs(g - r);
    m.max_abs = std::max(m.max_abs, e);
    error2 += e * e;
    reference2 += r * r;
    got2 += g * g;
    dot += g * r;
    ulps.push_back(e / ane::half_ulp(r));
  }
  if (ulps.empty()) return m;
  m.underflow_fraction = static_cast<double>(underflows) / static_cast<double>(got.size());
  if (nonzero_references > 0) m.zero_fraction = static_cast<double>(zeros) / static_cast<double>(nonzero_references);
  m.rms = std::sqrt(error2 / static_cast<double>(ulps.size()));
  m.nmse = reference2 > 0 ? error2 / reference2 : (error2 > 0 ? std::numeric_limits<double>::infinity() : 0);
  m.snr_db = -10 * std::log10(m.nmse);
  m.cosine = got2 > 0 && reference2 > 0 ? dot / std::sqrt(got2 * reference2) : (got2 == reference2 ? 1.0 : 0.0);
  m.max_ulp = *std::max_element(ulps.begin(), ulps.end());
  const std::size_t rank = (ulps.size() * 99 + 99) / 100 - 1;  // nearest rank
  std::nth_element(ulps.begin(), ulps.begin() + static_cast<std::ptrdiff_t>(rank), ulps.end());
  m.p99_ulp = ulps[rank];
  return m;
}

std::string mostly_lost(const Metrics& m) {
  if (!(m.nmse > 0.1 * 0.1) && !(m.underflow_fraction > 0.01)) return {};
  return fmt::format("the error is {:.2g} % of the reference's rms, and {:.2g} % of the elements vanished",
                     100 * std::sqrt(m.nmse), 100 * m.zero_fraction);
}

std::vector<MetricValue> metric_values(const Metrics& m) {
  std::vector<MetricValue> values = {{"max_abs", "1", m.max_abs},
                                     {"rms", "1", m.rms},
                                     {"nmse", "1", m.nmse},
                                     {"snr_db", "dB", m.snr_db},
                                     {"cosine", "1", m.cosine},
                                     {"max_ulp", "ulp", m.max_ulp},
                                     {"p99_ulp", "ulp", m.p99_ulp},
                                     {"underflow_fraction", "1", m.underflow_fraction},
                                     {"zero_fraction", "1", m.zero_fraction},
                                     {"nan_count", "count", static_cast<double>(m.nan_count)},
                                     {"inf_count", "count", static_cast<double>(m.inf_count)}};
  std::erase_if(values, [](const MetricValue& v) { return !std::isfinite(v.value); });
  return values;
}

}  // namespace aneval::validate
