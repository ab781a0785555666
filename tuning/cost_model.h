// How long an evaluation should take on an engine that is not here: a dispatch, and then the longer of computing and
// moving data (Williams, Waterman, Patterson 2009), from published figures (cost_models.csv). Good for planning a sweep
// and for ordering sizes; wrong by a factor of up to two against the published latencies (docs/tuning.md). A
// prediction is never told as a measurement: backend `predicted`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tuning/point.h"
#include "tuning/point_result.h"

namespace aneval::tuning {

/// backend of rows and tables.
inline constexpr std::string_view kPredicted = "predicted";

/// One figure of a family, with what it rests on.
struct Figure {
  std::string family, chip, figure, unit, evidence, source;
  double value = 0, low = 0, high = 0;
};
const std::vector<Figure>& cost_figures();

struct CostModel {
  std::string family, chip;
  double dispatch_ns = 0;
  double flops_per_ns = 0;
  double weight_bytes_per_ns = 0, activation_bytes_per_ns = 0;
  double working_set_bytes = 0;
};
/// Errors (exit 2): a family without figures, with the nearest that has them.
CostModel cost_model(std::string_view family);

/// What one evaluation does.
struct Load {
  double flops = 0;
  double input_bytes = 0, output_bytes = 0;  // surfaces
  double constant_bytes = 0;                 // weights in the program
};

/// Nanoseconds: dispatch + max(flops / peak, surfaces / activations + constants / weights), twice that part when
/// surfaces and constants exceed the working set (dev-erik, M4 Max: half the rate beyond the knee).
double predict(const CostModel& model, const Load& load);

/// The eval time of a point, dispatches of a layer one after the other; status ok, rows with backend `predicted`,
/// nothing about errors. Errors: those of building its programs.
PointResult predict_point(const CostModel& model, const Point& point, const RunContext& run);

/// A published latency of a generic product, and what the model says of it.
struct PublishedLatency {
  std::string family, chip, what, weights, source;
  std::int64_t ic = 0, oc = 0, seq = 0;
  double published_ms = 0, predicted_ms = 0;
};
std::vector<PublishedLatency> compare_with_published();

}  // namespace aneval::tuning
