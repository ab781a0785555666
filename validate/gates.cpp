#include "validate/gates.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <vector>

#include "common/names.h"

namespace aneval::validate {
namespace {

/// A shadow's bias is a float.
constexpr double kBiasRounding = 0x1p-22;

bool has_spread(const Shadow& s) { return !s.straddles() && std::isfinite(s.sigma()); }

}  // namespace

void count(const Edges& edges, double value, Counts& counts) {
  std::size_t at = 0;
  while (at < edges.size() && !(value <= edges[at])) ++at;
  ++counts[at];
}

std::string histogram_text(const Edges& edges, const Counts& counts) {
  std::string text;
  for (std::size_t i = 0; i < counts.size(); ++i)
    text += (i > 0 ? " " : "") + (i < edges.size() ? number_text(edges[i]) : "more") + ":" + std::to_string(counts[i]);
  return text;
}

double deviation_limit(std::int64_t elements) {
  return std::sqrt(2 * std::log(2 * static_cast<double>(std::max<std::int64_t>(elements, 1)) / kFalseAlarms));
}

double spread_limit(double independent) {
  // χ²_n by its cube root, which is nearly normal (Wilson and Hilferty 1931). At 1 − 1e-6 this is above the true
  // quantile, in R by 7 % for n = 1, 1.4 % for 8, 0.02 % for 256.
  constexpr double kNormalQuantile = 4.753424;  // 1 − 1e-6
  const double n = std::max(independent, 1.0), part = 2 / (9 * n);
  const double root = 1 - part + kNormalQuantile * std::sqrt(part);
  return kModelSlack * std::sqrt(root * root * root);
}

double independent_errors(std::span<const Shadow> shadow) {
  double elements = 0, squares = 0;
  // Squared correlation of two elements: (T₁T₁′ + T₂T₂′)²/(σσ′)² for the rows that both name.
  std::unordered_map<std::uint32_t, double> shares;   // T²/σ², by row
  std::unordered_map<std::uint64_t, double> crossed;  // T₁T₂/σ², by both rows
  for (const Shadow& s : shadow) {
    const double sigma = s.sigma();
    if (!has_spread(s) || sigma == 0) continue;
    const double share = s.shared_variance() / (sigma * sigma);
    elements += 1;
    squares += 1 - share * share;
    for (const SharedError& part : s.shared)
      if (part.amount != 0)
        shares[part.row] += static_cast<double>(part.amount) * static_cast<double>(part.amount) / (sigma * sigma);
    const auto& [first, second] = s.shared;
    const double both = static_cast<double>(first.amount) * static_cast<double>(second.amount) / (sigma * sigma);
    const std::uint64_t low = std::min(first.row, second.row), high = std::max(first.row, second.row);
    if (both != 0) crossed[high << 32U | low] += both;
  }
  for (const auto& [row, share] : shares) squares += share * share;
  for (const auto& [rows, both] : crossed) squares += 2 * both * both;
  return elements > 0 ? elements * elements / squares : 0;
}

SpreadJudgement judge_spread(std::span<const float> device, std::span<const double> reference,
                             std::span<const Shadow> shadow, double noise_relative, double noise_absolute) {
  SpreadJudgement judgement;
  double squares = 0, predicted = 0, references = 0;
  std::int64_t finite = 0;
  std::vector<double> deviations;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const Shadow& s = shadow[i];
    if (!has_spread(s)) continue;
    const double sigma = s.sigma(), bias = static_cast<double>(s.bias);
    predicted += bias * bias + sigma * sigma;
    references += reference[i] * reference[i];
    if (sigma == 0 && s.centre() == 0 && std::abs(reference[i]) >= 0x1p-24) ++judgement.vanishing;
    ++finite;
    const double noise = noise_relative * std::abs(reference[i]) + noise_absolute + kBiasRounding * std::abs(bias);
    const double deviation = std::abs(static_cast<double>(device[i]) - reference[i] - bias) - noise;
    double z = std::max(deviation, 0.0) / sigma;
    if (std::isnan(deviation)) z = std::numeric_limits<double>::quiet_NaN();
    if (sigma == 0) {
      ++judgement.known;
      if (deviation <= 0) continue;  // false for NaN
      z = std::numeric_limits<double>::infinity();
      ++judgement.violations;
    } else {
      ++judgement.elements;
      squares += z * z;
      deviations.push_back(z);
      count(kDeviationEdges, z, judgement.deviations);
    }
    if (!(z <= judgement.largest)) {
      judgement.largest = std::isnan(z) ? std::numeric_limits<double>::infinity() : z;
      judgement.worst = i;
    }
  }
  judgement.limit = deviation_limit(judgement.elements);
  if (judgement.elements > 0) {
    for (const double z : deviations) judgement.violations += z <= judgement.limit ? 0 : 1;  // NaN counts
    judgement.independent = independent_errors(shadow);
    judgement.rms = std::sqrt(squares / static_cast<double>(judgement.elements));
    judgement.rms_limit = spread_limit(judgement.independent);
  }
  if (finite > 0) {
    judgement.predicted_error = std::sqrt(predicted / static_cast<double>(finite));
    judgement.reference_rms = std::sqrt(references / static_cast<double>(finite));
  }
  return judgement;
}

}  // namespace aneval::validate
