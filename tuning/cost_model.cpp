#include "tuning/cost_model.h"

#include <algorithm>

#include "ane/mil/program.h"
#include "ane/weight_constants.h"
#include "common/csv.h"
#include "common/error.h"
#include "common/names.h"
#include "common/vocabulary.h"
#include "tuning/cost_data.h"
#include "tuning/plan.h"

namespace aneval::tuning {
namespace {

constexpr double kSpill = 2;

/// Rows of one of the project's own data files, as lists of fields; the header is checked by the count of its fields.
std::vector<std::vector<std::string>> rows_of(std::string_view text, std::size_t fields, const char* file) {
  std::vector<std::vector<std::string>> rows;
  for (const std::string& line : split(text, '\n')) {
    if (line.empty()) continue;
    auto row = csv_fields(line);
    if (!row || row->size() != fields) throw std::logic_error(std::string(file) + ": " + line);
    rows.push_back(std::move(*row));
  }
  rows.erase(rows.begin());
  return rows;
}

Load load_of(const PlannedKernel& kernel) {
  Load load;
  load.flops = mil::matmul_flops(kernel.program.graph.main());
  load.input_bytes = static_cast<double>(kernel.layout.input_bytes());
  load.output_bytes = static_cast<double>(kernel.layout.output_bytes());
  for (const ane::Slot& slot : kernel.layout.compiled())
    load.constant_bytes += static_cast<double>(ane::constant_bytes(slot));
  return load;
}

}  // namespace

const std::vector<Figure>& cost_figures() {
  static const std::vector<Figure> figures = [] {
    std::vector<Figure> all;
    for (const auto& f : rows_of(kCostModelsCsv, 9, "cost_models.csv"))
      all.push_back({f[0], f[1], f[2], f[4], f[7], f[8], parse_double(f[3], "value"), parse_double(f[5], "low"),
                     parse_double(f[6], "high")});
    return all;
  }();
  return figures;
}

CostModel cost_model(std::string_view family) {
  std::vector<std::string> known;
  for (const Figure& figure : cost_figures())
    if (std::ranges::find(known, figure.family) == known.end()) known.push_back(figure.family);
  if (std::ranges::find(known, family) == known.end()) unknown_name("cost model", family, known);
  CostModel model;
  const auto value = [&](std::string_view name) {
    for (const Figure& figure : cost_figures())
      if (figure.family == family && figure.figure == name) {
        model.chip = figure.chip;
        return figure.value;
      }
    throw std::logic_error("cost_models.csv has no " + std::string(name) + " of " + std::string(family));
  };
  model.family = family;
  model.dispatch_ns = value("dispatch") * 1e3;
  model.flops_per_ns = value("peak") * 1e3;
  model.weight_bytes_per_ns = value("weights");
  model.activation_bytes_per_ns = value("activations");
  model.working_set_bytes = value("working_set") * 1e6;
  return model;
}

double predict(const CostModel& model, const Load& load) {
  const double compute = load.flops / model.flops_per_ns;
  const double move = (load.input_bytes + load.output_bytes) / model.activation_bytes_per_ns +
                      load.constant_bytes / model.weight_bytes_per_ns;
  const bool spills = load.input_bytes + load.output_bytes + load.constant_bytes > model.working_set_bytes;
  return model.dispatch_ns + std::max(compute, move) * (spills ? kSpill : 1);
}

PointResult predict_point(const CostModel& model, const Point& point, const RunContext& run) {
  PointResult result;
  Record row;
  row.run = run;
  row.run.backend = kPredicted;
  row.run.profile = point.profile;
  row.run.family = model.family;
  row.model = point.c.shape.name;
  row.seq = point.c.shape.seq;
  row.variant = ane::variant_text(point.c.variant);
  row.case_text = validate::case_text(point.c);
  row.phase = "eval";
  for (const std::string& kernel : kernels_of(point)) {
    const PlannedKernel planned = plan_kernel(point, kernel);
    const double ns = predict(model, load_of(planned));
    row.kernel = kernel;
    row.item = point.c.kernel == "layer" ? kernel : std::string();
    result.rows.push_back(fact(row, "time", ns));
    result.time_ns += ns;
    result.bytes += staged_bytes(planned.layout);
    if (point.c.kernel != "layer") result.program = program_identity(planned);
  }
  return result;
}

std::vector<PublishedLatency> compare_with_published() {
  std::vector<PublishedLatency> all;
  for (const auto& f : rows_of(kPublishedLatenciesCsv, 9, "published_latencies.csv")) {
    PublishedLatency latency{f[0],
                             f[1],
                             f[2],
                             f[6],
                             f[8],
                             parse_int(f[3], "ic"),
                             parse_int(f[4], "oc"),
                             parse_int(f[5], "seq"),
                             parse_double(f[7], "ms")};
    const auto ic = static_cast<double>(latency.ic), oc = static_cast<double>(latency.oc);
    const auto seq = static_cast<double>(latency.seq);
    const bool dynamic = latency.weights == "dynamic";
    const Load load{2 * ic * oc * seq, 2 * ic * (seq + (dynamic ? oc : 0)), 2 * oc * seq, dynamic ? 0 : 2 * ic * oc};
    latency.predicted_ms = predict(cost_model(latency.family), load) / 1e6;
    all.push_back(std::move(latency));
  }
  return all;
}

}  // namespace aneval::tuning
