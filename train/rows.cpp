#include "train/rows.h"

#include <fmt/format.h>

#include <cmath>

#include "common/names.h"
#include "common/vocabulary.h"

namespace aneval::train {
namespace {

bool of_run(const Record& candidate, const Record& run, std::int64_t steps) {
  return candidate.case_text == run.case_text && candidate.step && *candidate.step < steps;
}

/// A number that is not finite has no place in a row: its status and reason say what happened.
Record number(const Record& row, std::string_view metric, double value) {
  Record result = fact(row, metric, value);
  if (std::isfinite(value)) return result;
  result.value.reset();
  result.status = Status::nonfinite;
  result.reason = fmt::format("{} is not finite", metric);
  return result;
}

void add_look(std::vector<Record>& rows, const Record& row, const Look& look) {
  for (const GradientError& error : look.errors) {
    Record tensor = row;
    tensor.item = error.name;
    if (const auto parts = split(error.name, '.'); parts.size() == 3) {
      tensor.layer = parse_int(parts[1], error.name);
      tensor.item = parts[2];
    }
    rows.push_back(number(tensor, "grad_cosine", error.cosine));
    rows.push_back(number(tensor, "grad_rel_l2", error.relative));
    rows.push_back(number(tensor, "underflow_fraction", error.underflow_fraction));
  }
  rows.push_back(number(row, "largest_abs", look.largest_activation));
  for (const auto& [kernel, fraction] : look.dropped) {
    Record of_kernel = row;
    of_kernel.kernel = kernel;
    rows.push_back(number(of_kernel, "drop_fraction", fraction));
  }
}

}  // namespace

Record run_row(const RunContext& context, const Experiment& experiment, const std::string& run) {
  Record row;
  row.run = context;
  row.model = experiment.model.shape.name;
  row.seq = experiment.model.shape.seq;
  row.case_text =
      fmt::format("run={};loss_scale={};seed={}", run, experiment.settings.loss_scale, experiment.settings.seed);
  row.phase = "train_step";
  return row;
}

std::vector<Record> step_rows(const Record& run, const StepReport& report, std::int64_t tokens, bool with_times) {
  Record row = run;
  row.step = report.result.step;
  std::vector<Record> rows = {number(row, "loss", report.result.loss)};
  if (report.result.overflow) {
    rows.push_back(fact(row, "overflow_count", 1));
    rows.back().status = Status::nonfinite;
    rows.back().reason = "a gradient was not finite: the step was skipped";
  } else {
    rows.push_back(number(row, "gradient_norm", report.result.gradient_norm));
  }
  if (with_times) {
    rows.push_back(number(row, "learning_rate", report.result.rate));
    for (const auto& [key, nanoseconds] : report.times.all()) {
      Record time = row;
      time.item = key.first;
      time.phase = key.second;
      rows.push_back(fact(time, "time", static_cast<double>(nanoseconds)));
      if (key.second == "train_step")
        rows.push_back(
            number(row, "tokens_per_s", static_cast<double>(tokens) * 1e9 / static_cast<double>(nanoseconds)));
    }
  }
  if (report.look) add_look(rows, row, *report.look);
  return rows;
}

std::vector<Record> rows_before(const std::vector<Record>& rows, const Record& run, std::int64_t steps) {
  std::vector<Record> kept;
  for (const Record& row : rows)
    if (of_run(row, run, steps)) kept.push_back(row);
  return kept;
}

std::vector<double> losses_in(const std::vector<Record>& rows, const Record& run, std::int64_t steps) {
  std::vector<double> losses;
  for (const Record& row : rows)
    if (of_run(row, run, steps) && row.metric == "loss") losses.push_back(row.value.value_or(std::nan("")));
  return losses;
}

}  // namespace aneval::train
