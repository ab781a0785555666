// Every benchmark of the suites on a tiny model: it runs, its checks hold, and its checks can fail.
#include "bench/suites.h"

#include <gmock/gmock.h>

#include <map>
#include <set>

#include "ane/emulator/emulator.h"
#include "bench/arithmetic.h"
#include "bench/host_peak.h"
#include "bench/measurement.h"
#include "common/test_support.h"
#include "validate/faulty_device.h"
#include "validate/rows.h"

namespace aneval::bench {
namespace {

using testing::HasSubstr;

ModelShape tiny_shape() {
  ModelShape shape;
  shape.name = "tiny";
  shape.dim = 32;
  shape.hidden = 64;
  shape.heads = 4;
  shape.kv_heads = 2;
  shape.head_dim = 16;
  shape.seq = 12;
  shape.layers = 2;
  shape.vocab = 64;
  return shape;
}

class SuitesTest : public ::testing::Test {
 protected:
  SuitesTest() { use(*device_); }

  void use(ane::Device& device, const std::vector<Record>& earlier = {}) {
    validate::CheckOptions check;
    check.device = &device;
    check.profile = emulator::find_profile(emulator::kDefaultProfile);
    options_.cases = std::make_shared<ValidatedCases>(check, RunContext{}, earlier);
    options_.shapes = {tiny_shape()};
  }

  std::vector<Benchmark> small_benchmarks() const {
    std::vector<Benchmark> benchmarks;
    for (const auto suite : {kernel_suite, layer_suite, cpu_suite})
      for (const Benchmark& benchmark : suite(options_)) benchmarks.push_back(benchmark);
    return benchmarks;
  }

  Benchmark named(const std::string& name) const {
    for (const Benchmark& benchmark : small_benchmarks())
      if (benchmark.name == name) return benchmark;
    throw std::logic_error("no benchmark " + name);
  }

  std::vector<Record> measure(const Benchmark& benchmark, int iterations = 2) const {
    Measurement measurement(benchmark, *options_.cases->options().device);
    measurement.prepare();
    measurement.begin_series();
    for (int i = 0; i < iterations; ++i) measurement.iterate();
    measurement.end_series();
    return measurement.finish(1, {});
  }

  static double value(const std::vector<Record>& rows, const std::string& metric, const std::string& item = {}) {
    for (const Record& row : rows)
      if (row.metric == metric && row.item == item && row.value) return *row.value;
    throw std::logic_error("no row " + metric);
  }

  std::unique_ptr<ane::Device> device_ = emulator::make_emulator({});
  SuiteOptions options_;
};

TEST_F(SuitesTest, NamesAreUniqueAndSayWhatIsMeasured) {
  std::set<std::string> names;
  for (const auto extent : {validate::Extent::quick, validate::Extent::full}) {
    options_.extent = extent;
    names.clear();
    for (const Benchmark& benchmark : all_benchmarks(options_)) {
      EXPECT_TRUE(names.insert(benchmark.name).second) << benchmark.name;
      EXPECT_FALSE(benchmark.row.phase.empty()) << benchmark.name;
      EXPECT_FALSE(benchmark.row.case_text.empty()) << benchmark.name;
    }
  }
  for (const char* name :
       {"sdpaFwd/eval/tiny/seq=12", "woFwd/copy/tiny/seq=12", "dynMatmul/eval/ic=3072/oc=1024/seq=256",
        "layer_backward/tiny/seq=12", "tile_kv/tiny/seq=12", "to_half/elements=32768",
        "matmul_rate/fixed_point/activations/256x1024x2048"})
    EXPECT_TRUE(names.contains(name)) << name;
  // No weights to stage, nothing handed over unchanged.
  EXPECT_FALSE(names.contains("sdpaBwd1/stage_weights/tiny/seq=12"));
  EXPECT_FALSE(names.contains("sdpaFwd/copy/tiny/seq=12"));
}

TEST_F(SuitesTest, EveryBenchmarkRunsAndCountsTheSameInEveryRun) {
  for (const Benchmark& benchmark : small_benchmarks()) {
    const auto rows = measure(benchmark, 3);
    if (!benchmark.on_device) continue;
    const bool compiles = benchmark.row.phase == "compile" || benchmark.row.phase == "load";
    EXPECT_EQ(value(rows, "compile_count"), compiles ? 1 : 0) << benchmark.name;
    const double kernels = benchmark.row.phase == "eval"             ? 1
                           : benchmark.row.phase == "layer_forward"  ? 3
                           : benchmark.row.phase == "layer_backward" ? 7
                                                                     : 0;
    EXPECT_EQ(value(rows, "dispatches"), kernels) << benchmark.name;
  }
}

TEST_F(SuitesTest, BytesAndOperationsAreThoseOfTheShape) {
  // woFwd at Q = 64, D = 32, S = 12: slots attn [64, 12] and wo_t [64, 32], output o [32, 12].
  EXPECT_EQ(value(measure(named("woFwd/stage_weights/tiny/seq=12")), "bytes"), 2 * 64 * 32);
  EXPECT_EQ(value(measure(named("woFwd/write_acts/tiny/seq=12")), "bytes"), 2 * 64 * 12);
  EXPECT_EQ(value(measure(named("woFwd/copy/tiny/seq=12")), "bytes"), 2 * 64 * 12);
  EXPECT_EQ(value(measure(named("woFwd/read/tiny/seq=12")), "bytes"), 2 * 32 * 12);
  const auto eval = measure(named("woFwd/eval/tiny/seq=12"), 1);
  EXPECT_EQ(value(eval, "bytes"), 2 * (64 * 44 + 32 * 12));
  EXPECT_NEAR(value(eval, "tflops") * 1e3 * value(eval, "time"), 2.0 * 64 * 32 * 12, 1e-6 * 49152);
}

TEST_F(SuitesTest, ALayerCompilesEachKernelOnceAndItsSharesAddUp) {
  const auto rows = measure(named("layer_backward/tiny/seq=12"), 2);
  EXPECT_EQ(value(rows, "compile_count", "all"), 10);
  double shares = 0;
  for (const Record& row : rows)
    if (row.metric == "ratio") shares += *row.value;
  EXPECT_NEAR(shares, 1, 1e-9);
  EXPECT_GT(value(rows, "time", "layer_backward.sdpaBwd2"), 0);
}

TEST_F(SuitesTest, ALayersStepsSayWhatTheyMove) {
  const auto rows = measure(named("layer_forward/tiny/seq=12"), 1);
  std::map<std::string, double> bytes;
  for (const Record& row : rows)
    if (row.metric == "bytes") bytes[row.phase + " " + row.item] = *row.value;
  EXPECT_EQ(bytes.at("write_acts layer_forward.woFwd"), 2 * 64 * 12);
  EXPECT_EQ(bytes.at("read layer_forward.woFwd"), 2 * 32 * 12);
  // Q = 64 and K = 32 rows, and not the block xn, which no step reads.
  EXPECT_EQ(bytes.at("read layer_forward.sdpaFwd"), 2 * (64 + 64 + 32 + 32) * 12);
  // wq, wk, wv, wo and w2 have a slot forward and one backward, w1 and w3 as well: D = 32, F = 64.
  EXPECT_EQ(bytes.at("stage_weights all"), 2 * 2 * 32 * (64 + 32 + 32 + 64 + 3 * 64));
}

TEST_F(SuitesTest, ATrainingStepCompilesTenAndItsPhasesAddUp) {
  const auto benchmarks = train_suite(options_);
  ASSERT_EQ(benchmarks.size(), 2U);
  EXPECT_EQ(benchmarks[0].name, "train_step/tiny/seq=12/layers=2");
  const auto rows = measure(benchmarks[0], 3);
  EXPECT_EQ(value(rows, "compile_count"), 0);
  EXPECT_EQ(value(rows, "compile_count", "all"), 10);
  EXPECT_EQ(value(rows, "dispatches"), 2 * 10);
  EXPECT_EQ(value(rows, "layers", "all"), 2);
  EXPECT_GT(value(rows, "tokens_per_s"), 0);
  std::set<std::string> phases;
  double shares = 0;
  for (const Record& row : rows) {
    if (row.metric != "ratio") continue;
    shares += *row.value;
    phases.insert(row.phase);
  }
  for (const char* phase : {"eval", "write_acts", "read", "rmsnorm", "silu", "tile", "reduce", "classifier",
                            "weight_grad", "optimizer", "restage"})
    EXPECT_TRUE(phases.contains(phase)) << phase;
  // Medians of three steps, and what lies between the phases.
  EXPECT_GT(shares, 0.5);
  EXPECT_LT(shares, 1.2);
}

TEST_F(SuitesTest, ATrainingStepWithStaticWeightsCompilesThemEveryTime) {
  const Benchmark benchmark = train_suite(options_).at(1);
  EXPECT_EQ(benchmark.name, "train_step/tiny/seq=12/weights=static/layers=2");
  const auto rows = measure(benchmark, 3);
  // Eight of the ten kernels hold weights, in each of two layers; sdpaBwd1 and sdpaBwd2 are shared.
  EXPECT_EQ(value(rows, "compile_count"), 2 * 8);
  EXPECT_EQ(value(rows, "load_count"), 2 * 8);
  EXPECT_EQ(value(rows, "compile_count", "all"), 2 + 2 * 8);
  EXPECT_EQ(value(rows, "dispatches"), 2 * 10);
  std::map<std::string, double> times;
  for (const Record& row : rows)
    if (row.metric == "time" && row.item == "train_step.step") times[row.phase] = *row.value;
  for (const char* phase : {"compile", "load", "restage", "optimizer"}) EXPECT_GT(times[phase], 0) << phase;
}

TEST_F(SuitesTest, WhereCompilesAreCountedNoStepCompilesWeights) {
  emulator::EmulatorOptions options;
  options.compile_limit = 119;
  const auto limited = emulator::make_emulator(options);
  use(*limited);
  ASSERT_EQ(train_suite(options_).size(), 1U);
  EXPECT_EQ(train_suite(options_)[0].name, "train_step/tiny/seq=12/layers=2");
  options_.variant.weights = ane::Weights::compiled;
  ASSERT_EQ(train_suite(options_).size(), 1U);
  EXPECT_EQ(train_suite(options_)[0].name, "train_step/tiny/seq=12/weights=static/layers=2");
}

TEST_F(SuitesTest, ATrainingStepTakesTheLayersThatAreAskedForOrFit) {
  const auto name = [&] { return train_suite(options_).at(0).name; };
  options_.shapes[0].layers = 28;
  EXPECT_EQ(name(), "train_step/tiny/seq=12/layers=2");
  options_.layers = 5;
  EXPECT_EQ(name(), "train_step/tiny/seq=12/layers=5");
  options_.layers = 100;
  EXPECT_EQ(name(), "train_step/tiny/seq=12/layers=28");
  options_.layers.reset();
  options_.extent = validate::Extent::full;
  EXPECT_EQ(name(), "train_step/tiny/seq=12/layers=28");
  // 1.25 MB for 28 layers, 50 kB at most for each.
  options_.memory_gib = 1e6 / 0x1p30;
  const Benchmark benchmark = train_suite(options_).at(0);
  EXPECT_EQ(*benchmark.row.seq, 12);
  EXPECT_NE(benchmark.name, "train_step/tiny/seq=12/layers=28");
  for (const Record& row : measure(benchmark, 1))
    if (row.metric == "layers") {
      EXPECT_THAT(row.text, HasSubstr("all 28 layers need")) << *row.value;
    }
}

TEST_F(SuitesTest, EarlierVerdictsAreTakenAndTheirHashesDemanded) {
  validate::Case c;
  c.kernel = "woFwd";
  c.shape = tiny_shape();
  validate::CheckOptions check = options_.cases->options();
  validate::KernelChecker checker(check);
  std::vector<Record> rows = validate::case_rows({}, checker.run(c));
  use(*device_, rows);
  EXPECT_NO_THROW(measure(named("woFwd/eval/tiny/seq=12")));

  // Another hash than the device's: the verdict was about other bits.
  for (Record& row : rows)
    if (row.metric == "output_hash") row.text = "0123456789abcdef";
  use(*device_, rows);
  const Error error = error_of([&] { measure(named("woFwd/eval/tiny/seq=12")); });
  EXPECT_EQ(error.code(), ExitCode::check_failed);
  EXPECT_THAT(error.what(), HasSubstr("the validated one is 0123456789abcdef"));

  // Rows of another build are no verdict about this one.
  for (Record& row : rows) row.run.build = "other";
  use(*device_, rows);
  EXPECT_NO_THROW(measure(named("woFwd/eval/tiny/seq=12")));
}

TEST_F(SuitesTest, WhatIsJudgedWrongIsNotTimed) {
  options_.variant.head_map = ane::HeadMap::cyclic_fwd;
  const Error error = error_of([&] { measure(named("sdpaFwd/eval/tiny/seq=12/head_map=cyclic_fwd")); });
  EXPECT_EQ(error.code(), ExitCode::check_failed);
  EXPECT_THAT(error.what(), HasSubstr("was judged wrong"));
}

TEST_F(SuitesTest, AWrongOutputDuringTimedRunsIsFound) {
  // The first two evaluations are the judge's.
  validate::FaultyDevice device(emulator::make_emulator({}),
                                [](std::int64_t evaluation, std::span<ane::half_t> output) {
                                  if (evaluation == 3) output[5] = static_cast<ane::half_t>(output[5] ^ 1U);
                                });
  use(device);
  const Error error = error_of([&] { measure(named("woFwd/eval/tiny/seq=12"), 3); });
  EXPECT_EQ(error.code(), ExitCode::check_failed);
  EXPECT_THAT(error.what(), HasSubstr("output of woFwd: its hash is"));
}

TEST_F(SuitesTest, AnEvaluationThatWritesNothingIsFound) {
  validate::CheckOptions honest = options_.cases->options();
  validate::Case c;
  c.kernel = "woFwd";
  c.shape = tiny_shape();
  const auto rows = validate::case_rows({}, validate::KernelChecker(honest).run(c));
  validate::FaultyDevice device(emulator::make_emulator({}), {}, true);
  use(device, rows);
  EXPECT_THAT(error_of([&] { measure(named("woFwd/eval/tiny/seq=12")); }).what(), HasSubstr("still hold the poison"));
}

TEST_F(SuitesTest, ExactProductsAreHeldAgainstFp32) {
  ThreadPool pool(2);
  for (const ExactProduct product : {ExactProduct::fixed_point, ExactProduct::four_lane}) {
    for (ThreadPool* threads : {static_cast<ThreadPool*>(nullptr), &pool}) {
      const Benchmark benchmark =
          product_rate({product, ProductData::overflow, 2, 13, 70, 40, /*right_transposed=*/true}, threads);
      const auto rows = measure(benchmark, 1);
      const std::string item = benchmark.row.item;
      EXPECT_GT(value(rows, "ratio", item), 0);
      EXPECT_LE(value(rows, "ratio_q1", item), value(rows, "ratio", item));
      EXPECT_LE(value(rows, "ratio", item), value(rows, "ratio_q3", item));
      EXPECT_NEAR(value(rows, "tflops", item) * 1e3 * value(rows, "time", item), 2.0 * 2 * 13 * 70 * 40, 1);
      if (product == ExactProduct::fixed_point) {
        EXPECT_GT(value(rows, "fallback_share", item), 0.1);
      }
    }
  }
}

TEST_F(SuitesTest, NoTwoBenchmarksWriteRowsWithTheSameColumns) {
  options_.extent = validate::Extent::full;
  std::set<std::string> columns;
  for (const Benchmark& b : all_benchmarks(options_)) {
    const Record& r = b.row;
    EXPECT_TRUE(columns
                    .insert(r.model + "|" + std::to_string(r.seq.value_or(-1)) + "|" + r.kernel + "|" + r.variant +
                            "|" + r.case_text + "|" + r.item + "|" + r.phase)
                    .second)
        << b.name;
  }
}

TEST_F(SuitesTest, EightControlsRunOnTheProcessor) {
  const auto controls = control_suite(options_);
  ASSERT_EQ(controls.size(), 8U);
  for (const Benchmark& control : controls) {
    EXPECT_FALSE(control.on_device);
    const auto rows = measure(control, 3);
    EXPECT_GT(value(rows, "time", control.row.item), 1000) << control.name;
    EXPECT_EQ(value(rows, "benchmark", control.row.item), 1) << control.name;
  }
}

TEST(HostPeak, OperationsGrowWithRounds) {
  EXPECT_GT(multiply_add_chains(1), 0);
  EXPECT_EQ(multiply_add_chains(10), 10 * multiply_add_chains(1));
}

}  // namespace
}  // namespace aneval::bench
