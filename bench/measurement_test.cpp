// The runner's part that needs no Google Benchmark: what is inside the timed part and what is not, rows, failures.
#include "bench/measurement.h"

#include <gmock/gmock.h>

#include <numeric>
#include <thread>

#include "ane/emulator/emulator.h"
#include "common/statistics.h"
#include "common/test_support.h"
#include "common/vocabulary.h"

namespace aneval::bench {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

struct Log {
  std::vector<std::string> calls;
};

class MeasurementTest : public ::testing::Test {
 protected:
  Benchmark logged(std::function<void()> run = {}) {
    Benchmark benchmark;
    benchmark.name = "thing/eval";
    benchmark.row.kernel = "thing";
    benchmark.row.phase = "eval";
    benchmark.prepare = [this, run] {
      log_.calls.emplace_back("prepare");
      Subject subject;
      subject.before = [this] { log_.calls.emplace_back("before"); };
      subject.run = [this, run] {
        log_.calls.emplace_back("run");
        if (run) run();
      };
      subject.after = [this] { log_.calls.emplace_back("after"); };
      subject.finished = [this] { log_.calls.emplace_back("finished"); };
      subject.warm = [this] { log_.calls.emplace_back("warm"); };
      subject.work = work_;
      return subject;
    };
    return benchmark;
  }

  std::vector<Record> measure(Measurement& measurement, int series, int iterations) {
    measurement.prepare();
    for (int s = 0; s < series; ++s) {
      measurement.begin_series();
      for (int i = 0; i < iterations; ++i) measurement.iterate();
      measurement.end_series();
    }
    return measurement.finish(static_cast<std::size_t>(series), {.run_id = "r"});
  }

  static std::vector<double> values(const std::vector<Record>& rows, const std::string& metric) {
    std::vector<double> found;
    for (const Record& row : rows)
      if (row.metric == metric && row.value) found.push_back(*row.value);
    return found;
  }

  std::unique_ptr<ane::Device> device_ = emulator::make_emulator({});
  Log log_;
  Work work_;
};

TEST_F(MeasurementTest, AYardstickAlternatesWithTheRun) {
  Benchmark benchmark = logged();
  benchmark.yardstick = Yardstick{"nothing", Yardstick::Ratio::rate, 0.5};
  benchmark.prepare = [this, prepare = benchmark.prepare] {
    Subject subject = prepare();
    subject.yardstick = [this] { log_.calls.emplace_back("yardstick"); };
    return subject;
  };
  Measurement measurement(benchmark, *device_);
  const auto rows = measure(measurement, 1, 2);
  EXPECT_THAT(log_.calls, testing::ElementsAre("prepare", "yardstick", "before", "run", "after", "before", "run",
                                               "after", "yardstick", "finished"));
  EXPECT_THAT(values(rows, "ratio_at_least"), testing::ElementsAre(0.5));
  EXPECT_THAT(values(rows, "ratio_at_most"), testing::IsEmpty());
}

TEST_F(MeasurementTest, RatiosAreMediansOfPairsPerRepetition) {
  Benchmark benchmark = logged([] { std::this_thread::sleep_for(2ms); });
  for (const auto kind : {Yardstick::Ratio::rate, Yardstick::Ratio::time}) {
    benchmark.yardstick = Yardstick{"an hour", kind, {}};
    benchmark.prepare = [prepare = benchmark.prepare] {
      Subject subject = prepare();
      subject.yardstick_ns = 3600e9;
      return subject;
    };
    Measurement measurement(benchmark, *device_);
    const auto rows = measure(measurement, 2, 3);
    const auto ratios = values(rows, "ratio"), times = values(rows, "time");
    ASSERT_EQ(ratios.size(), 2);
    for (std::size_t i = 0; i < 2; ++i) {
      const double middle = median({times[3 * i], times[3 * i + 1], times[3 * i + 2]});
      const double expected = kind == Yardstick::Ratio::rate ? 3600e9 / middle : middle / 3600e9;
      EXPECT_NEAR(ratios[i], expected, 1e-9 * expected);
      EXPECT_LE(values(rows, "ratio_q1")[i], ratios[i]);
      EXPECT_GE(values(rows, "ratio_q3")[i], ratios[i]);
    }
    EXPECT_THAT(values(rows, "ratio_at_least"), testing::IsEmpty());  // no target was set
  }
}

TEST_F(MeasurementTest, CallsInOrder) {
  Measurement measurement(logged(), *device_);
  measure(measurement, 1, 2);
  EXPECT_THAT(log_.calls,
              testing::ElementsAre("prepare", "before", "run", "after", "before", "run", "after", "finished"));
}

TEST_F(MeasurementTest, OnlyTheRunIsTimed) {
  Benchmark benchmark;
  benchmark.prepare = [] {
    Subject subject;
    subject.before = [] { std::this_thread::sleep_for(20ms); };
    subject.run = [] { std::this_thread::sleep_for(2ms); };
    subject.after = [] { std::this_thread::sleep_for(20ms); };
    return subject;
  };
  Measurement measurement(benchmark, *device_);
  const auto start = std::chrono::steady_clock::now();
  const auto times = values(measure(measurement, 1, 5), "time");
  const std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - start;
  ASSERT_EQ(times.size(), 5U);
  // A sleep is never shorter, however busy the machine: what lies outside took 40 ms per run at least.
  EXPECT_GE(*std::min_element(times.begin(), times.end()), 2e6);
  EXPECT_LE(std::accumulate(times.begin(), times.end(), 0.0), elapsed.count() - 5 * 40e6);
}

TEST_F(MeasurementTest, RowsHaveSamplesWorkAndCounts) {
  work_ = {.region_bytes = 100, .moved_bytes = 300, .flops = 4000};
  Measurement measurement(logged(), *device_);
  const auto rows = measure(measurement, 3, 4);
  EXPECT_EQ(values(rows, "time").size(), 12U);
  EXPECT_THAT(values(rows, "bytes"), testing::ElementsAre(100));
  const double middle = median(values(rows, "time"));
  EXPECT_THAT(values(rows, "gb_per_s"), testing::ElementsAre(300 / middle));
  EXPECT_THAT(values(rows, "tflops"), testing::ElementsAre(4000 / middle / 1e3));
  EXPECT_THAT(values(rows, "compile_count"), testing::ElementsAre(0));
  EXPECT_THAT(values(rows, "benchmark"), testing::ElementsAre(1));
  std::int64_t rep = 0;
  for (const Record& row : rows) {
    EXPECT_EQ(row.run.run_id, "r");
    EXPECT_EQ(row.kernel, "thing");
    ASSERT_NE(find_metric(row.metric), nullptr) << row.metric;
    EXPECT_EQ(row.unit, find_metric(row.metric)->unit);
    if (row.metric == "time") {
      EXPECT_EQ(row.rep, rep++);
    }
  }
}

TEST_F(MeasurementTest, EarlierSeriesWereASearch) {
  Measurement measurement(logged(), *device_);
  measurement.prepare();
  for (const int iterations : {1, 10, 5}) {
    measurement.begin_series();
    for (int i = 0; i < iterations; ++i) measurement.iterate();
    measurement.end_series();
  }
  EXPECT_EQ(values(measurement.finish(1, {}), "time").size(), 5U);
}

TEST_F(MeasurementTest, ABatchIsDividedByItsRuns) {
  Benchmark benchmark;
  benchmark.prepare = [] {
    Subject subject;
    subject.run = [] { std::this_thread::sleep_for(1ms); };
    subject.batch = 10;
    return subject;
  };
  Measurement measurement(benchmark, *device_);
  const auto start = std::chrono::steady_clock::now();
  const auto times = values(measure(measurement, 1, 1), "time");
  const std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - start;
  EXPECT_GE(times.at(0), 1e6);
  EXPECT_LE(10 * times.at(0), elapsed.count());  // one tenth of what ten runs took
}

TEST_F(MeasurementTest, WarmUpEndsAndIsCounted) {
  Measurement measurement(logged([] { std::this_thread::sleep_for(2ms); }), *device_);
  measurement.prepare();
  measurement.warm_up();
  EXPECT_GE(measurement.warm_up_count(), 3);
  EXPECT_LE(measurement.warm_up_count(), 101);  // 200 ms of at least 2 ms each
  EXPECT_EQ(log_.calls.back(), "warm");
}

TEST_F(MeasurementTest, ASlowThingIsWarmedUpThreeTimes) {
  Measurement measurement(logged([] { std::this_thread::sleep_for(110ms); }), *device_);
  measurement.prepare();
  measurement.warm_up();
  EXPECT_EQ(measurement.warm_up_count(), 3);
  measurement.begin_series();
  measurement.iterate();
  measurement.end_series();
  for (const Record& row : measurement.finish(1, {}))
    if (row.metric == "warmup_count") {
      EXPECT_EQ(row.value, 3);
      EXPECT_THAT(row.text, HasSubstr("not within 2 %"));
    }
}

TEST_F(MeasurementTest, AFailureIsARowWithItsReason) {
  Measurement measurement(logged(), *device_);
  measurement.prepare();
  measurement.begin_series();
  measurement.fail(Error(ExitCode::check_failed, "output", "differs", "look"));
  const auto rows = measurement.finish(1, {});
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[1].metric, "benchmark");  // whoever compares builds knows what failed
  EXPECT_EQ(rows[1].text, "thing/eval");
  EXPECT_EQ(rows[0].metric, "time");
  EXPECT_FALSE(rows[0].value);
  EXPECT_EQ(rows[0].status, Status::wrong_result);
  EXPECT_EQ(rows[0].reason, "output: differs: look");

  Measurement refused(logged(), *device_);
  refused.fail(refusal("device", "is gone", "wait"));
  EXPECT_EQ(refused.finish(0, {})[0].status, Status::run_error);
}

TEST_F(MeasurementTest, FactsTakeTheirUnits) {
  const Record row = fact(Record(), "surface_bytes", 4096.0);
  EXPECT_EQ(row.unit, "bytes");
  EXPECT_EQ(row.value, 4096);
  const Record hash = fact(Record(), "output_hash", "0123");
  EXPECT_EQ(hash.text, "0123");
  EXPECT_FALSE(hash.value);
  EXPECT_THROW(fact(Record(), "speed", 1.0), std::logic_error);
}

}  // namespace
}  // namespace aneval::bench
