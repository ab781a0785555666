// How far an output lies from its reference: the numbers that are reported, never gated.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aneval::validate {

struct Metrics {
  double max_abs = 0;               // max |got − ref| over finite outputs
  double rms = 0;                   // sqrt(mean (got − ref)²)
  double nmse = 0;                  // Σ(got − ref)² / Σ ref²
  double snr_db = 0;                // −10·log10(nmse); +inf when exact
  double cosine = 1;                // of the two blocks as vectors; 1 when both are zero
  double max_ulp = 0, p99_ulp = 0;  // |got − ref| in fp16 spacings at the reference
  double underflow_fraction = 0;    // zero while |ref| ≥ 2^-24, of all elements
  double zero_fraction = 0;         // zero while ref is not, of the elements where ref is not
  std::int64_t nan_count = 0, inf_count = 0;
};

/// Elements that are not finite are counted and left out of the other numbers.
Metrics compute_metrics(std::span<const float> got, std::span<const double> reference);

/// Why a block is of little use although every bound holds: an error of more than 10 % of the reference's rms, or more
/// than 1 % of the elements zero that fp16 could hold. Empty when neither is so.
std::string mostly_lost(const Metrics& metrics);

struct MetricValue {
  std::string_view metric, unit;
  double value;
};

/// Name, unit and value of every metric, for records; an exact block's snr_db is left out (it has no finite value).
std::vector<MetricValue> metric_values(const Metrics& metrics);

}  // namespace aneval::validate
