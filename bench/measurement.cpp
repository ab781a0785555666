#include "bench/measurement.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <stdexcept>

#include "ane/device.h"
#include "common/statistics.h"
#include "common/stopwatch.h"

namespace aneval::bench {
namespace {

/// Processor time of all threads. Costs a system call, so it is read outside of the wall clock's readings.
double process_cpu_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

void call(const std::function<void()>& function) {
  if (function) function();
}

}  // namespace

void Measurement::prepare() {
  if (!subject_) subject_ = benchmark_.prepare();
}

double Measurement::timed_run(double& cpu_ns) {
  call(subject_->before);
  const double cpu = process_cpu_ns();
  const Stopwatch watch;
  for (std::int64_t i = 0; i < subject_->batch; ++i) subject_->run();
  const std::int64_t ns = watch.ns();
  const auto runs = static_cast<double>(subject_->batch);
  cpu_ns += (process_cpu_ns() - cpu) / runs;
  call(subject_->after);
  return static_cast<double>(ns) / runs;
}

double Measurement::timed_yardstick() {
  if (subject_->yardstick_ns > 0) return subject_->yardstick_ns;
  const Stopwatch watch;
  for (std::int64_t i = 0; i < subject_->batch; ++i) subject_->yardstick();
  return static_cast<double>(watch.ns()) / static_cast<double>(subject_->batch);
}

void Measurement::warm_up() {
  constexpr std::int64_t kLeast = 3;
  Stability stability;
  double cpu_ns = 0;
  const Stopwatch watch;
  while (!stability.reached() && (stability.count() < kLeast || static_cast<double>(watch.ns()) < kWarmUpNs)) {
    if (benchmark_.yardstick) timed_yardstick();
    const double ns = timed_run(cpu_ns);
    if (first_ns_ == 0) first_ns_ = ns;
    stability.add(ns);
  }
  warm_up_count_ += stability.count() * subject_->batch;
  if (!stability.reached())
    warm_up_note_ = fmt::format("not within {:g} % after {:g} ms", 100 * kStableSpread, kWarmUpNs / 1e6);
  call(subject_->warm);
}

void Measurement::begin_series() {
  series_.emplace_back();
  at_start_ = device_.counters();
}

double Measurement::iterate() {
  Series& series = series_.back();
  // Whoever comes second finds what the first left in the caches: they take turns.
  const bool yardstick_first = series.ns.size() % 2 == 0;
  if (benchmark_.yardstick && yardstick_first) series.yardstick_ns.push_back(timed_yardstick());
  series.ns.push_back(timed_run(series.cpu_ns));
  if (benchmark_.yardstick && !yardstick_first) series.yardstick_ns.push_back(timed_yardstick());
  return series.ns.back();
}

void Measurement::end_series() {
  const auto runs = static_cast<double>(series_.back().ns.size()) * static_cast<double>(subject_->batch);
  const ane::DeviceCounters now = device_.counters();
  counts_ = {static_cast<double>(now.compile_attempts - at_start_.compile_attempts) / runs,
             static_cast<double>(now.loads - at_start_.loads) / runs,
             static_cast<double>(now.evaluations - at_start_.evaluations) / runs};
  call(subject_->finished);
}

std::vector<double> Measurement::ratios(const Series& series) const {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < series.ns.size(); ++i) {
    const double ours = series.ns[i], theirs = series.yardstick_ns[i];
    ratios.push_back(benchmark_.yardstick->ratio == Yardstick::Ratio::rate ? theirs / ours : ours / theirs);
  }
  std::sort(ratios.begin(), ratios.end());
  return ratios;
}

std::vector<std::pair<std::string, double>> Measurement::counters() const {
  auto counters = subject_->counters ? subject_->counters() : std::vector<std::pair<std::string, double>>();
  if (benchmark_.yardstick) {
    counters.emplace_back("ratio", quantile(ratios(series_.back()), 0.5));
    if (const auto& target = benchmark_.yardstick->target) counters.emplace_back("target", *target);
  }
  return counters;
}

void Measurement::add_ratio_rows(std::span<const Series> series, const Record& base, std::vector<Record>& rows) const {
  for (std::size_t i = 0; i < series.size(); ++i) {
    const std::vector<double> sorted = ratios(series[i]);
    Record row = base;
    row.rep = static_cast<std::int64_t>(i);
    for (const auto& [metric, share] : {std::pair{"ratio", 0.5}, {"ratio_q1", 0.25}, {"ratio_q3", 0.75}})
      rows.push_back(fact(row, metric, quantile(sorted, share)));
  }
  const Yardstick& yardstick = *benchmark_.yardstick;
  rows.push_back(fact(base, "yardstick", yardstick.name));
  if (!yardstick.target) return;
  const bool rate = yardstick.ratio == Yardstick::Ratio::rate;
  rows.push_back(fact(base, rate ? "ratio_at_least" : "ratio_at_most", *yardstick.target));
}

void Measurement::fail(const Error& error) {
  status_ = ane::status_of(error, benchmark_.row.phase == "compile" ? Status::compile_error : Status::run_error);
  reason_ = error.what();
}

std::vector<Record> Measurement::finish(std::size_t repetitions, const RunContext& run) {
  Record base = benchmark_.row;
  base.run = run;
  Record about = fact(base, "benchmark", static_cast<double>(benchmark_.version));
  about.text = benchmark_.name;
  if (failed()) {
    Record row = fact(base, "time", 0.0);
    row.value.reset();
    row.status = status_;
    row.reason = reason_;
    subject_.reset();
    return {row, about};
  }
  if (repetitions == 0 || repetitions > series_.size()) throw std::logic_error("a benchmark without a series");

  std::vector<Record> rows;
  std::vector<double> all;
  double cpu_ns = 0, iterations = 0;
  for (auto series = series_.end() - static_cast<std::ptrdiff_t>(repetitions); series != series_.end(); ++series) {
    for (const double sample : samples_of(*series)) {
      Record row = fact(base, "time", sample);
      row.rep = static_cast<std::int64_t>(all.size());
      rows.push_back(std::move(row));
      all.push_back(sample);
    }
    cpu_ns += series->cpu_ns;
    iterations += static_cast<double>(series->ns.size());
  }
  const double middle = median(all);
  const Work& work = subject_->work;
  rows.push_back(std::move(about));
  rows.push_back(fact(base, "cpu_time", cpu_ns / iterations));
  if (work.region_bytes > 0) rows.push_back(fact(base, "bytes", work.region_bytes));
  if (work.moved_bytes > 0 && middle > 0) rows.push_back(fact(base, "gb_per_s", work.moved_bytes / middle));
  if (work.flops > 0 && middle > 0) rows.push_back(fact(base, "tflops", work.flops / middle / 1e3));
  rows.push_back(fact(base, "warmup_count", static_cast<double>(warm_up_count_)));
  rows.back().text = warm_up_note_;
  rows.push_back(fact(base, "first_time", first_ns_));
  if (benchmark_.on_device) {
    rows.push_back(fact(base, "compile_count", counts_.compiles));
    rows.push_back(fact(base, "load_count", counts_.loads));
    rows.push_back(fact(base, "dispatches", counts_.dispatches));
  }
  if (benchmark_.yardstick) add_ratio_rows(std::span(series_).last(repetitions), base, rows);
  if (subject_->facts)
    for (Record& row : subject_->facts(base)) rows.push_back(std::move(row));
  subject_.reset();
  return rows;
}

}  // namespace aneval::bench
