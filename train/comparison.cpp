#include "train/comparison.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "validate/metrics.h"

namespace aneval::train {
namespace {

struct Spread {
  double mean = 0, sd = 0;
};

double window_mean(std::span<const double> losses, std::size_t end, std::size_t window) {
  const auto part = losses.subspan(end - window, window);
  return std::accumulate(part.begin(), part.end(), 0.0) / static_cast<double>(window);
}

/// Of the controls' means over the `window` losses before `end`.
Spread control_spread(const std::vector<std::vector<double>>& controls, std::size_t end, std::size_t window) {
  const auto count = static_cast<double>(controls.size());
  Spread spread;
  for (const auto& losses : controls) spread.mean += window_mean(losses, end, window) / count;
  double square = 0;
  for (const auto& losses : controls) square += std::pow(window_mean(losses, end, window) - spread.mean, 2);
  spread.sd = std::sqrt(square / (count - 1));
  return spread;
}

/// How far off in standard deviations. NaN losses are infinitely far.
double deviation(double loss, const Spread& spread) {
  const double distance = std::abs(loss - spread.mean);
  if (distance == 0) return 0;
  const double ratio = distance / spread.sd;
  return std::isnan(ratio) ? std::numeric_limits<double>::infinity() : ratio;
}

}  // namespace

std::vector<GradientError> compare_gradients(const Parameters& got, const Parameters& reference) {
  const auto all = tensors_of(got), expected = tensors_of(reference);
  std::vector<GradientError> errors;
  std::vector<double> wide;
  for (std::size_t i = 0; i < all.size(); ++i) {
    wide.assign(expected[i].tensor->data.begin(), expected[i].tensor->data.end());
    const validate::Metrics metrics = validate::compute_metrics(all[i].tensor->data, wide);
    errors.push_back({all[i].name, metrics.cosine, std::sqrt(metrics.nmse), metrics.underflow_fraction});
  }
  return errors;
}

BandResult compare_with_controls(std::span<const double> losses, const std::vector<std::vector<double>>& controls) {
  if (controls.size() < 2) throw std::logic_error("compare_with_controls: a spread needs two controls");
  for (const auto& control : controls)
    if (control.size() != losses.size()) throw std::logic_error("compare_with_controls: curves of different lengths");
  BandResult result;
  for (auto end = static_cast<std::size_t>(kBandWindow); end <= losses.size() && !result.first_exit; ++end)
    if (deviation(window_mean(losses, end, kBandWindow), control_spread(controls, end, kBandWindow)) > kBand)
      result.first_exit = static_cast<std::int64_t>(end) - 1;
  if (losses.size() < static_cast<std::size_t>(kFinalWindow)) return result;
  const Spread spread = control_spread(controls, losses.size(), kFinalWindow);
  result.final_loss = window_mean(losses, losses.size(), kFinalWindow);
  result.control_loss = spread.mean;
  result.control_sd = spread.sd;
  result.deviation = deviation(result.final_loss, spread);
  result.verdict = result.deviation > kDiffers ? Verdict::differs
                   : result.deviation > kBand  ? Verdict::outside
                                               : Verdict::within;
  return result;
}

std::string BandResult::text() const {
  const std::string exit =
      first_exit ? fmt::format("the {}-step mean first left the {}-sd band at step {}", kBandWindow, kBand, *first_exit)
                 : fmt::format("the {}-step mean never left the {}-sd band", kBandWindow, kBand);
  if (verdict == Verdict::too_short) return fmt::format("no verdict: fewer than {} steps; {}", kFinalWindow, exit);
  const std::string numbers =
      fmt::format("final loss {:.4f} against {:.4f} ± {:.2g} ({:+.2g} nats, {:.3g} sd); {}", final_loss, control_loss,
                  control_sd, final_loss - control_loss, deviation, exit);
  switch (verdict) {
    case Verdict::within:
      return "trains as fp32 with fp16 storage does: " + numbers;
    case Verdict::outside:
      return "trains a little differently (one healthy run in twenty does): " + numbers;
    default:
      return "does not train as fp32 with fp16 storage does: " + numbers;
  }
}

}  // namespace aneval::train
