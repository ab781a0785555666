// Gates 2 and 3: whether a block's errors are spread as the shadows say, which finds what hides below the worst case.
//
// With z = (got − reference − B)/σ over the N elements of a block that have a σ, and a chance of 1e-6 to flag a healthy
// block:
//
//   deviation   |z| ≤ k everywhere, k = sqrt(2·ln(2N/1e-6)): what N sub-Gaussian errors stay within (Boucheron, Lugosi,
//               Massart, Concentration Inequalities, 2.1; errors that are sums of bounded roundings are sub-Gaussian,
//               Hoeffding 1963). Where σ = 0 only one number is possible, and it must be that one.
//   spread      R = sqrt(mean z²) ≤ 1.25·sqrt(χ²_n(1 − 1e-6)/n): the model of V may be off by a quarter; n is N,
//               or less where elements share errors.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "validate/shadow/shadow.h"

namespace aneval::validate {

/// The chance that a healthy block is flagged, by either gate.
inline constexpr double kFalseAlarms = 1e-6;
/// How far σ may be off.
inline constexpr double kModelSlack = 1.25;

/// k of the deviation gate.
double deviation_limit(std::int64_t elements);
/// Limit of R for `independent` errors (1 or more).
double spread_limit(double independent);

/// Counts of elements by the largest value they may have; the last takes all others.
using Counts = std::array<std::int64_t, 10>;
using Edges = std::array<double, 9>;
inline constexpr Edges kDeviationEdges = {0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6};              // of |z|
inline constexpr Edges kBoundEdges = {0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1};  // of |e|/E
void count(const Edges& edges, double value, Counts& counts);
/// "0.5:12 1:7 … more:0", as records carry it.
std::string histogram_text(const Edges& edges, const Counts& counts);

struct SpreadJudgement {
  std::int64_t elements = 0;    // that have a spread and were judged
  std::int64_t known = 0;       // whose device value is known
  std::int64_t violations = 0;  // of the deviation gate, known ones included
  std::size_t worst = 0;        // element of the largest |z|; of a known one that differs, if any
  double largest = 0;           // |z|; infinite for a known one that differs
  double limit = 1;             // k
  double rms = 0, rms_limit = 0;
  double independent = 0;  // n
  Counts deviations{};     // of |z|
  // Over all elements that are surely finite, whatever the device did:
  double predicted_error = 0;  // rms of the expected error, sqrt(mean(B² + σ²))
  double reference_rms = 0;
  std::int64_t vanishing = 0;  // surely zero, though fp16 could hold them

  /// Shares of the limits that were reached; 0 without elements. A known element that differs: infinite.
  double deviation_ratio() const { return largest / limit; }
  double spread_ratio() const { return rms_limit > 0 ? rms / rms_limit : 0; }
  bool holds() const { return violations == 0 && rms <= rms_limit; }
};

/// `noise`: what the reference of an element may be off by. Elements that are or may be infinite are left to the
/// bounds.
SpreadJudgement judge_spread(std::span<const float> device, std::span<const double> reference,
                             std::span<const Shadow> shadow, double noise_relative, double noise_absolute);

/// How many independent errors have the same chance to be large together: N²/Σ_ij corr_ij², where elements that share a
/// row's error are correlated by what they share (Satterthwaite 1946, for a sum of squares).
double independent_errors(std::span<const Shadow> shadow);

}  // namespace aneval::validate
