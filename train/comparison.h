// What a training run is held against: its gradients against the fp32 reference's at the same weights, and its losses
// against those of control runs that differ from each other by the rounding of stored numbers alone.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "train/parameters.h"

namespace aneval::train {

struct GradientError {
  std::string name;               // of the weight
  double cosine = 1;              // of got and reference as vectors
  double relative = 0;            // ‖got − reference‖₂ / ‖reference‖₂
  double underflow_fraction = 0;  // elements that are zero while |reference| ≥ 2^-24
};

/// Tensor by tensor; both with the same loss scale in them.
std::vector<GradientError> compare_gradients(const Parameters& got, const Parameters& reference);

/// Steps whose mean loss is compared with the control's while training goes on, and at its end.
inline constexpr std::int64_t kBandWindow = 10, kFinalWindow = 20;
/// Controls of a comparison, and the two limits of a deviation in standard deviations of theirs. The deviation of a run
/// that is one more of them is sqrt(1 + 1/5) times Student's t with four degrees of freedom: beyond 3 with probability
/// 0.05, beyond 10 with 0.0008. So 3 is worth a look, and 10 is a difference.
inline constexpr int kControls = 5;
inline constexpr double kBand = 3, kDiffers = 10;

enum class Verdict { too_short, within, outside, differs };

struct BandResult {
  Verdict verdict = Verdict::too_short;
  /// First step at which the mean of the last kBandWindow losses leaves mean ± kBand·sd of the controls' means.
  std::optional<std::int64_t> first_exit;
  double final_loss = 0;    // mean of the last kFinalWindow losses
  double control_loss = 0;  // mean of the controls' final losses
  double control_sd = 0;    // their standard deviation (n − 1)
  double deviation = 0;     // |final_loss − control_loss| / control_sd; infinite when a loss is not finite

  /// In words, one line.
  std::string text() const;
};

/// All curves from step 0, of the same length. Too short: fewer than kFinalWindow steps. Throws std::logic_error for
/// fewer than two controls.
BandResult compare_with_controls(std::span<const double> losses, const std::vector<std::vector<double>>& controls);

}  // namespace aneval::train
