#include "cli/sweep_jobs.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "ane/layer_plan.h"
#include "bench/measurement.h"
#include "bench/suites.h"
#include "cli/validate_jobs.h"
#include "common/statistics.h"
#include "common/stopwatch.h"
#include "tuning/plan.h"
#include "validate/rows.h"

namespace aneval::cli {
namespace {

using nlohmann::json;

std::string task_of(const SweepSettings& s, const tuning::Point& point, const char* kind) {
  ValidateSettings settings;
  settings.device = s.device;
  return json{{"sweep", kind},
              {"settings", settings_json(settings)},
              {"phases", s.phases},
              {"repetitions", s.repetitions},
              {"iterations", s.iterations},
              {"point", tuning::point_text(point)}}
      .dump();
}

DeviceOptions device_of(const SweepSettings& s, const tuning::Point& point) {
  DeviceOptions device = s.device;
  device.profile = point.profile;
  device.qos = point.qos;
  device.threads = static_cast<int>(point.threads);
  device.timed = true;
  return device;
}

/// The largest relative rms error of an output.
double error_of(const std::vector<Record>& rows) {
  double largest = 0;
  for (const Record& row : rows)
    if (row.metric == "nmse" && row.value) largest = std::max(largest, *row.value);
  return std::sqrt(largest);
}

/// What is kept of the rows of a judgement: a sweep has thousands of points.
bool is_kept(const Record& row) {
  constexpr std::string_view kKept[] = {"bound_ratio", "nmse",          "max_abs",      "rms",
                                        "error_total", "reference_rms", "program_hash", "output_hash"};
  return row.status != Status::ok || std::ranges::find(kKept, row.metric) != std::end(kKept);
}

void judge(const validate::CheckOptions& check, const RunContext& run, const validate::Case& c,
           tuning::PointResult& result, std::vector<Record>& rows) {
  if (c.kernel == "layer") {
    const validate::LayerResult judged = validate::check_layer(check, c, validate::random_layer_tensors(c));
    rows = validate::layer_rows(run, judged);
    result.status = judged.status, result.reason = judged.reason;
    return;
  }
  const validate::CaseResult judged = validate::KernelChecker(check).run(c);
  rows = validate::case_rows(run, judged);
  result.status = judged.status, result.reason = judged.reason;
}

/// Times one benchmark, keeps the median as its one row of `time`, and returns it.
double time_one(bench::Benchmark benchmark, const SweepSettings& s, Session& session, std::vector<Record>& rows) {
  bench::Measurement measurement(std::move(benchmark), *session.device);
  measurement.prepare();
  measurement.warm_up();
  for (std::int64_t repetition = 0; repetition < s.repetitions; ++repetition) {
    measurement.begin_series();
    for (std::int64_t i = 0; i < s.iterations; ++i) measurement.iterate();
    measurement.end_series();
  }
  std::vector<double> medians;
  for (const bench::Series& series : measurement.series()) medians.push_back(median(series.ns));
  const double ns = median(medians);
  Record time = fact(measurement.benchmark().row, "time", ns);
  time.run = session.run;
  rows.push_back(std::move(time));
  constexpr std::string_view kKept[] = {"bytes", "gb_per_s", "tflops"};
  for (const Record& row : measurement.finish(static_cast<std::size_t>(s.repetitions), session.run))
    if (std::ranges::find(kKept, row.metric) != std::end(kKept)) rows.push_back(row);
  return ns;
}

/// The benchmarks whose times a point costs.
std::vector<bench::Benchmark> benchmarks_of(const SweepSettings& s, const tuning::Point& point,
                                            std::shared_ptr<bench::ValidatedCases> cases) {
  bench::SuiteOptions suite;
  suite.cases = std::move(cases);
  suite.shapes = {point.c.shape};
  suite.variant = point.c.variant;
  suite.seed = point.c.seed;
  suite.kernel = point.c.kernel;
  if (point.c.kernel == "layer") return bench::layer_suite(suite);
  std::vector<bench::Benchmark> chosen;
  for (bench::Benchmark& benchmark : bench::kernel_suite(suite))
    if (benchmark.row.kernel == point.c.kernel && std::ranges::find(s.phases, benchmark.row.phase) != s.phases.end())
      chosen.push_back(std::move(benchmark));
  return chosen;
}

double time_point(const SweepSettings& s, const tuning::Point& point, Session& session,
                  const validate::CheckOptions& check, const std::vector<Record>& judged, std::vector<Record>& rows) {
  if (session.proof) session.proof->require();
  const auto cases = std::make_shared<bench::ValidatedCases>(check, session.run, judged);
  double sum = 0;
  for (bench::Benchmark& benchmark : benchmarks_of(s, point, cases))
    sum += time_one(std::move(benchmark), s, session, rows);
  return sum;
}

tuning::PointResult run_point(const SweepSettings& s, const tuning::Point& point) {
  const Stopwatch watch;
  tuning::PointResult result;
  try {
    const DeviceOptions options = device_of(s, point);
    Session session = open_session(options);
    const validate::CheckOptions check = check_options(options, session);
    std::vector<Record> judged;
    judge(check, session.run, point.c, result, judged);
    result.error = error_of(judged);
    for (const Record& row : judged)
      if (is_kept(row)) result.rows.push_back(row);
    for (const std::string& kernel : tuning::kernels_of(point)) {
      const tuning::PlannedKernel planned = tuning::plan_kernel(point, kernel);
      result.bytes += tuning::staged_bytes(planned.layout);
      if (point.c.kernel != "layer") result.program = tuning::program_identity(planned);
    }
    if (result.status == Status::ok || result.status == Status::degraded)
      result.time_ns = time_point(s, point, session, check, judged, result.rows);
    result.compiles = session.device->counters().compile_attempts;
  } catch (const Error& error) {
    result.status = ane::status_of(error, Status::run_error);
    result.reason = error.what();
  }
  result.seconds = static_cast<double>(watch.ns()) / 1e9;
  return result;
}

std::vector<double> run_confirmation(const SweepSettings& s, const tuning::Point& point) {
  try {
    const DeviceOptions options = device_of(s, point);
    Session session = open_session(options);
    const validate::CheckOptions check = check_options(options, session);
    std::vector<Record> rows;
    std::vector<double> values = {std::log(time_point(s, point, session, check, {}, rows))};
    for (bench::Benchmark& control : bench::control_suite({}))
      values.push_back(std::log(time_one(std::move(control), s, session, rows)));
    return values;
  } catch (const Error&) {
    return {};  // a process without a value; the sweep's own point tells what is wrong
  }
}

}  // namespace

std::string point_task(const SweepSettings& settings, const tuning::Point& point) {
  return task_of(settings, point, "point");
}

std::string confirmation_task(const SweepSettings& settings, const tuning::Point& point) {
  return task_of(settings, point, "confirmation");
}

bool is_sweep_task(const std::string& task) { return json::parse(task).contains("sweep"); }

std::string run_sweep_task(const std::string& task) {
  const json j = json::parse(task);
  SweepSettings settings;
  settings.device = parse_settings(j.at("settings")).device;
  settings.phases = j.at("phases").get<std::vector<std::string>>();
  settings.repetitions = j.at("repetitions");
  settings.iterations = j.at("iterations");
  const tuning::Point point = tuning::parse_point(j.at("point").get<std::string>(), "point");
  if (j.at("sweep") == "point") return tuning::result_json(run_point(settings, point));
  return json(run_confirmation(settings, point)).dump();
}

std::vector<double> parse_confirmation(const std::string& reply) {
  return json::parse(reply).get<std::vector<double>>();
}

std::int64_t compiles_of(const tuning::Point& point) {
  return 2 * static_cast<std::int64_t>(tuning::kernels_of(point).size()) + 1;  // and the proof that the engine runs
}

}  // namespace aneval::cli
