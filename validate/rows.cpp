#include "validate/rows.h"

#include <cmath>

#include "common/vocabulary.h"

namespace aneval::validate {
namespace {

Record base_row(const RunContext& run, const Case& c, const std::string& variant) {
  Record row;
  row.run = run;
  row.model = c.shape.name;
  row.seq = c.shape.seq;
  row.layer = c.layer;
  row.kernel = c.kernel;
  row.variant = variant;
  row.case_text = case_text(c);
  row.phase = "validate";
  return row;
}

void add_metrics(std::vector<Record>& rows, const Record& base, const Metrics& metrics) {
  for (const MetricValue& metric : metric_values(metrics)) rows.push_back(fact(base, metric.metric, metric.value));
}

void add_text(std::vector<Record>& rows, const Record& base, std::string metric, const std::string& text) {
  if (text.empty()) return;
  Record row = base;
  row.metric = std::move(metric);
  row.text = text;
  rows.push_back(std::move(row));
}

void add_value(std::vector<Record>& rows, const Record& base, const std::string& item, const char* metric,
               double value) {
  if (!std::isfinite(value)) return;
  rows.push_back(fact(base, metric, value));
  rows.back().item = item;
}

void add_attribution(std::vector<Record>& rows, Record row, const Attribution& a) {
  row.item = a.block;
  for (const auto& [metric, value] : {std::pair{"reference_rms", a.reference},
                                      {"error_total", a.total},
                                      {"error_input", a.input},
                                      {"error_constants", a.constants},
                                      {"error_output_rounding", a.output_rounding},
                                      {"error_arithmetic", a.arithmetic}})
    rows.push_back(fact(row, metric, value));
  if (a.left_out > 0) rows.push_back(fact(row, "error_left_out", static_cast<double>(a.left_out)));
  rows.push_back(a.excess ? fact(row, "excess", *a.excess) : fact(row, "excess", "exact"));
}

void add_statistics(std::vector<Record>& rows, const Record& base, const emulator::ProgramStatistics& statistics) {
  for (const emulator::MatmulStatistics& matmul : statistics.matmuls) {
    add_value(rows, base, matmul.result, "acc_peak", matmul.acc_peak);
    add_value(rows, base, matmul.result, "headroom", matmul.headroom());
    add_value(rows, base, matmul.result, "drop_fraction", matmul.drop_fraction);
  }
  for (const emulator::SliceStatistics& slice : statistics.slices)
    add_value(rows, base, slice.result, "slice_peak", slice.peak);
  for (const emulator::QuantizeStatistics& quantized : statistics.quantizations)
    add_value(rows, base, quantized.result, "clip_fraction", quantized.clip_fraction);
  for (const emulator::SpecialStatistics& special : statistics.specials) {
    add_value(rows, base, special.result, "operand_nan_count", static_cast<double>(special.nan_count));
    add_value(rows, base, special.result, "operand_inf_count", static_cast<double>(special.inf_count));
  }
}

}  // namespace

std::vector<Record> case_rows(const RunContext& run, const CaseResult& result) {
  std::vector<Record> rows;
  Record base = base_row(run, result.c, result.variant);
  base.status = result.status;
  base.reason = result.reason;
  Record time = base;
  time.metric = "time";
  time.unit = "ns";
  time.value = static_cast<double>(result.milliseconds) * 1e6;
  rows.push_back(time);
  add_text(rows, base, "program_hash", result.program_hash);
  add_text(rows, base, "output_hash", result.output_hash);
  for (const BlockJudgement& block : result.blocks) {
    Record row = base;
    row.item = block.block;
    row.status = block.status;
    row.reason = block.reason;
    add_metrics(rows, row, block.metrics);
    add_value(rows, row, block.block, "bound_ratio", block.device.worst.ratio);
    add_value(rows, row, block.block, "deviation_ratio", block.spread.deviation_ratio());
    add_text(rows, row, "bound_histogram", histogram_text(kBoundEdges, block.device.ratios));
    if (block.spread.elements > 0) {
      add_text(rows, row, "deviation_histogram", histogram_text(kDeviationEdges, block.spread.deviations));
      add_value(rows, row, block.block, "error_spread", block.spread.rms);
      add_value(rows, row, block.block, "spread_ratio", block.spread.spread_ratio());
    }
    add_value(rows, row, block.block, "reference_error", block.reference_error);
    add_value(rows, row, block.block, "predicted_error", block.spread.predicted_error);
  }
  Record judged = base;
  for (const Attribution& attribution : result.attributions) {
    for (const BlockJudgement& block : result.blocks) {
      if (block.block != attribution.block) continue;
      judged.status = block.status;
      judged.reason = block.reason;
    }
    add_attribution(rows, judged, attribution);
  }
  for (const CaseStatistics& statistics : result.statistics) {
    Case scaled = result.c;
    scaled.loss_scale *= statistics.loss_scale;
    add_statistics(rows, base_row(run, scaled, result.variant), statistics.program);
  }
  return rows;
}

std::vector<Record> layer_rows(const RunContext& run, const LayerResult& result) {
  std::vector<Record> rows;
  Record base = base_row(run, result.c, ane::variant_text(result.c.variant));
  base.status = result.status;
  base.reason = result.reason;
  Record compiles = base;
  compiles.metric = "compile_count";
  compiles.unit = "count";
  compiles.value = static_cast<double>(result.counters.compile_attempts);
  rows.push_back(compiles);
  add_text(rows, base, "output_hash", result.output_hash);
  for (const LayerTensorError& tensor : result.tensors) {
    Record row = base;
    row.item = tensor.tensor;
    add_metrics(rows, row, tensor.metrics);
  }
  for (const ChainError& error : result.chain.errors) {
    Record row = fact(base, "chain_step", static_cast<double>(error.place));
    row.item = error.tensor;
    row.text = error.step;
    rows.push_back(row);
    // Where the reference is zero nothing can be said relative to it.
    add_value(rows, base, error.tensor, "chain_error", error.error / error.reference);
    add_value(rows, base, error.tensor, "chain_own", error.own / error.reference);
    add_value(rows, base, error.tensor, "chain_inherited", error.inherited / error.reference);
  }
  for (const CpuJudgement& step : result.chain.cpu) add_value(rows, base, step.tensor, "bound_ratio", step.worst_ratio);
  return rows;
}

}  // namespace aneval::validate
