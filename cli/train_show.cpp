#include "cli/train_show.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "cli/command.h"

namespace aneval::cli {
namespace {

double milliseconds(std::int64_t nanoseconds, std::int64_t steps) {
  return static_cast<double>(nanoseconds) / 1e6 / static_cast<double>(steps);
}

}  // namespace

void show_step(const std::string& run, const train::StepReport& report, const std::vector<double>* reference_losses) {
  const train::StepResult& result = report.result;
  progress(fmt::format("{} step {}: loss {:.4f}", run, result.step, result.loss));
  if (result.overflow && reference_losses != nullptr)
    fmt::print("  step {:4}  a gradient was not finite: no weight was changed\n", result.step);
  if (report.dump) {
    progress("");
    fmt::print("  step {:4}  dumped to {}\n", result.step, report.dump->string());
  }
  if (!report.look || reference_losses == nullptr) return;
  progress("");
  const train::Look& look = *report.look;
  const auto worst = std::ranges::min_element(look.errors, {}, &train::GradientError::cosine);
  double vanished = 0;
  for (const train::GradientError& error : look.errors) vanished = std::max(vanished, error.underflow_fraction);
  fmt::print(
      "  step {:4}  loss {:.4f} (fp32 {:.4f})  gradients: norm {:.3g}, smallest cosine {:.5f} ({}), at most {:.2g} % "
      "vanished  largest activation {:.3g}",
      result.step, result.loss, reference_losses->at(static_cast<std::size_t>(result.step)), result.gradient_norm,
      worst->cosine, worst->name, 100 * vanished, look.largest_activation);
  const auto most = std::ranges::max_element(look.dropped, {}, [](const auto& entry) { return entry.second; });
  if (most != look.dropped.end()) fmt::print("  most products dropped {:.2g} % ({})", 100 * most->second, most->first);
  fmt::print("\n");
  std::fflush(stdout);
}

void show_phases(const train::PhaseTimes& times, std::int64_t steps, std::int64_t tokens) {
  if (steps == 0) return;
  const std::int64_t whole = times.all().at({"step", "train_step"});
  fmt::print("a step takes {:.2f} ms, {:.0f} tokens/s:\n", milliseconds(whole, steps),
             static_cast<double>(tokens) * 1e3 / milliseconds(whole, steps));
  for (const auto& [key, nanoseconds] : times.all())
    if (key.second != "train_step")
      fmt::print("  {:<9} {:<12} {:9.3f} ms {:5.1f} %\n", key.first, key.second, milliseconds(nanoseconds, steps),
                 100.0 * static_cast<double>(nanoseconds) / static_cast<double>(whole));
}

}  // namespace aneval::cli
