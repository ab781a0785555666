#include "reports/report.h"

#include <gmock/gmock.h>

#include "common/vocabulary.h"

namespace aneval::reports {
namespace {

using testing::HasSubstr;
using testing::Not;

/// A small run: one kernel validated and timed, the host measured.
class ReportTest : public ::testing::Test {
 protected:
  ReportTest() {
    process("validate", 1, 1);
    process("bench", 3, 3);
    add("woFwd", "", "validate", "time", 5e6);
    add("woFwd", "o", "validate", "max_abs", 0.002);
    add("woFwd", "o", "validate", "snr_db", 73.6);
    add("woFwd", "o", "validate", "cosine", 0.9999);
    add("woFwd", "o", "validate", "bound_ratio", 0.96);
    for (const double ns : {2e6, 3e6, 4e6}) add("woFwd", "", "eval", "time", ns);
    add("woFwd", "", "eval", "tflops", 0.05);
    add("woFwd", "", "eval", "gb_per_s", 10);
    add("woFwd", "", "eval", "compile_count", 0);
    add("woFwd", "", "compile", "time", 50e6);
    host("memcpy", "bytes=1048576;threads=1", "gb_per_s", 80);
    host("memcpy", "bytes=8192;threads=1", "gb_per_s", 90);  // sorts behind the largest
    host("memcpy", "bytes=67108864;threads=1", "gb_per_s", 15);
    host("memcpy", "bytes=67108864;threads=2", "gb_per_s", 20);
    host("fma_peak", "threads=2", "tflops", 0.2);
  }

  static Record base(const std::string& metric, double value) {
    Record row;
    row.run = {.run_id = "r", .commit = "abc", .chip = "CPU 9", .backend = "emulator", .profile = "ieee"};
    row.metric = metric;
    row.unit = find_metric(metric)->unit;
    row.value = value;
    return row;
  }
  void process(const std::string& command, double planned, double done) {
    Record row = base("cases_planned", planned);
    row.item = command;
    set_.add(row);
    row.metric = "cases_done";
    row.value = done;
    set_.add(row);
  }
  Record kernel_row(const std::string& kernel, const std::string& item, const std::string& phase,
                    const std::string& metric, double value) {
    Record row = base(metric, value);
    row.model = "tiny";
    row.seq = 12;
    row.kernel = kernel;
    row.variant = "default";
    row.item = item;
    row.phase = phase;
    row.case_text = "kernel=" + kernel + ";model=tiny;seq=12;data=random;amp=1;seed=1";
    return row;
  }
  void add(const std::string& kernel, const std::string& item, const std::string& phase, const std::string& metric,
           double value) {
    set_.add(kernel_row(kernel, item, phase, metric, value));
  }
  void host(const std::string& item, const std::string& size, const std::string& metric, double value) {
    Record row = base(metric, value);
    row.item = item;
    row.case_text = size;
    row.phase = "host";
    set_.add(row);
  }
  std::string markdown() const { return to_markdown(make_report(set_)); }

  ResultSet set_;
};

TEST_F(ReportTest, ShowsHeadroomDropsAndSlicesByLossScale) {
  const auto at_scale = [&](const std::string& scale, const std::string& item, const std::string& metric,
                            double value) {
    Record row = kernel_row("kvBwd", item, "validate", metric, value);
    if (!scale.empty()) row.case_text += ";loss_scale=" + scale;
    set_.add(row);
  };
  at_scale("", "wv_product", "acc_peak", 0.0016);
  at_scale("", "wv_product", "headroom", 9.25);
  at_scale("", "wv_product", "drop_fraction", 0.125);
  at_scale("4096", "wv_product", "acc_peak", 6.7);
  at_scale("4096", "wv_product", "headroom", -2.75);
  at_scale("4096", "wv_product", "drop_fraction", 0);
  at_scale("65536", "wv_product", "drop_fraction", 0);
  at_scale("65536", "wv_product", "operand_inf_count", 7);
  at_scale("", "zeros_product", "acc_peak", 0);
  at_scale("", "zeros_product", "drop_fraction", 0);
  at_scale("", "dv", "slice_peak", 3);
  at_scale("4096", "dv", "slice_peak", 12288);
  const std::string text = markdown();
  EXPECT_THAT(text, HasSubstr("| kernel | product | ×1 | ×4096 | ×65536 |"));
  EXPECT_THAT(text, HasSubstr("| kvBwd | wv\\_product | 9.2 bits, 12 % | overflows, 0 % | infinite operands, 0 % |"));
  EXPECT_THAT(text, HasSubstr("| kvBwd | zeros\\_product | all zero, 0 % | – | – |"));
  EXPECT_THAT(text, HasSubstr("| kernel | slice | ×1 | ×4096 |"));
  EXPECT_THAT(text, HasSubstr("| kvBwd | dv | 3.00 | 12288 (> 4094) |"));
  EXPECT_THAT(text, HasSubstr("| tiny seq 12 | kvBwd | wv\\_product | ×65536 | 0 | 7 |"));
  // Cases that were looked at under other loss scales were not judged.
  EXPECT_THAT(text, Not(HasSubstr("| kvBwd | 3 |")));
}

TEST_F(ReportTest, ShowsHowNearEachGateWasAndHowErrorsAreDistributed) {
  add("woFwd", "o", "validate", "deviation_ratio", 0.61);
  add("woFwd", "o", "validate", "error_spread", 0.98);
  add("woFwd", "o", "validate", "error_spread", 1.02);
  add("woFwd", "o", "validate", "spread_ratio", 0.78);
  add("woFwd", "o", "validate", "reference_error", 1.5e-3);
  const auto histogram = [&](const std::string& seed, const std::string& text) {
    Record row = kernel_row("woFwd", "o", "validate", "max_abs", 0);
    row.case_text += ";layer=" + seed;
    row.metric = "deviation_histogram";
    row.unit.clear();
    row.value.reset();
    row.text = text;
    set_.add(row);
  };
  histogram("1", "0.5:30 1:10 more:0");
  histogram("2", "0.5:40 1:20 more:0");
  const std::string text = markdown();
  EXPECT_THAT(text, HasSubstr("| woFwd | o | 1 | 0.96 | 0.61 | 0.98 | 1.02 | 0.78 | 1.5e-03 |"));
  EXPECT_THAT(text, HasSubstr("| kernel | elements | ≤ 0.5 | ≤ 1 | more |"));
  EXPECT_THAT(text, HasSubstr("| woFwd | 100 | 70 % | 30 % | – |"));
}

TEST_F(ReportTest, WhatIsDegradedIsNamedAndNoFailure) {
  Record row = kernel_row("qBwd", "", "validate", "time", 1e6);
  row.status = Status::degraded;
  row.reason = "the error is 28 % of the reference's rms";
  set_.add(row);
  EXPECT_EQ(make_report(set_).verdict, Verdict::passed);
  const std::string text = markdown();
  EXPECT_THAT(text, HasSubstr("## Degraded"));
  EXPECT_THAT(text, HasSubstr("28 % of the reference"));
  EXPECT_THAT(text, Not(HasSubstr("## Failures")));
}

TEST_F(ReportTest, NamesTheRulesThatWereNotMeasured) {
  const auto rule = [&](const std::string& name, const std::string& ground) {
    Record row = base("profile_rule", 0);
    row.value.reset();
    row.phase = "profile";
    row.item = name;
    row.text = ground;
    set_.add(row);
  };
  rule("accumulator", "measured: fixed point [somebody]");
  rule("reduce_sum", "contested: left to right [somebody else]");
  rule("softmax", "assumed: in steps [nobody]");
  const std::string text = markdown();
  EXPECT_THAT(text, HasSubstr("contested: left to right [somebody else]"));
  EXPECT_THAT(text, HasSubstr("Not measured on this chip, or contested: reduce_sum, softmax."));
}

TEST_F(ReportTest, SaysWhatWasMeasuredWithWhat) {
  const std::string text = markdown();
  EXPECT_THAT(text, testing::StartsWith("# aneval: PASSED\n\nemulator profile ieee on CPU 9, commit abc\n"));
  EXPECT_THAT(text, HasSubstr("the emulator are its own"));
  EXPECT_THAT(text, HasSubstr("| woFwd | 50.0 ms | – | – | – | 3.00 ms | – | – | 0.0500 | – |"));
  EXPECT_THAT(text, HasSubstr("Nothing recompiled"));
  EXPECT_THAT(text, HasSubstr("| woFwd | 1 | ok | 0.00200 | 73.6 dB | 0.99990000 | 0.960 |"));
}

TEST_F(ReportTest, TheSlowestPhaseIsHeldAgainstTheMachine) {
  const std::string text = markdown();
  // The larger memcpy is memory's; compiling is slower than evaluating but happens once.
  EXPECT_THAT(text, HasSubstr("| eval | woFwd tiny seq 12 | 3.00 ms | 10.0 | 50 % | 0.0500 | 25 % |"));
  EXPECT_THAT(text, HasSubstr("Slowest phase of a step: eval of woFwd tiny seq 12, 3.00 ms."));
  EXPECT_THAT(text, HasSubstr("memcpy from memory 20.0 GB/s"));
}

TEST_F(ReportTest, AFailureComesFirstWithItsReason) {
  Record bad = kernel_row("qBwd", "dx_q", "validate", "max_abs", 1);
  bad.status = Status::wrong_result;
  bad.reason = "block dx_q: 3 elements | outside";
  set_.add(bad);
  const std::string text = markdown();
  EXPECT_THAT(text, testing::StartsWith("# aneval: FAILED"));
  const auto failures = text.find("## Failures");
  ASSERT_NE(failures, std::string::npos);
  EXPECT_LT(failures, text.find("## What ran"));
  EXPECT_THAT(text, HasSubstr("block dx\\_q: 3 elements \\| outside"));
}

TEST_F(ReportTest, AKilledProcessMakesTheRunIncomplete) {
  Record planned = base("cases_planned", 40);
  planned.item = "train";
  set_.add(planned);
  const Report report = make_report(set_);
  EXPECT_EQ(report.verdict, Verdict::incomplete);
  EXPECT_THAT(to_markdown(report), HasSubstr("train did not come to its end (killed: its last row is missing)"));
}

TEST_F(ReportTest, AnInterruptedProcessSaysWhen) {
  Record row = base("cases_planned", 40);
  row.item = "train";
  set_.add(row);
  row.metric = "cases_done";
  row.value = 7;
  row.status = Status::skipped;
  row.reason = "interrupted by signal 2 after 7 of 40 cases";
  set_.add(row);
  const std::string text = markdown();
  EXPECT_THAT(text, testing::StartsWith("# aneval: INCOMPLETE"));
  EXPECT_THAT(text, HasSubstr("interrupted by signal 2 after 7 of 40 cases"));
}

TEST_F(ReportTest, FewerCasesThanPlannedAreNoPass) {
  process("probe", 5, 4);
  EXPECT_EQ(make_report(set_).verdict, Verdict::incomplete);
}

TEST_F(ReportTest, StepsThatFailedOrWereSkippedShow) {
  set_.steps = {{"validate-real", "skipped", "0", "no data"}};
  EXPECT_EQ(make_report(set_).verdict, Verdict::passed);
  EXPECT_THAT(markdown(), HasSubstr("| skipped |  | validate-real |  |  | no data |"));
  set_.steps.push_back({"tests", "failed", "3", "exit code 8"});
  EXPECT_EQ(make_report(set_).verdict, Verdict::failed);
}

TEST_F(ReportTest, ARecompileShows) {
  add("woFwd", "", "write_acts", "compile_count", 1);
  EXPECT_THAT(markdown(), HasSubstr("**Recompiled:** woFwd write_acts."));
}

TEST_F(ReportTest, ExactProductsStandBesideFp32) {
  EXPECT_THAT(markdown(), Not(HasSubstr("Exact arithmetic")));
  for (const auto& [metric, value] : {std::pair{"time", 13e6}, std::pair{"ratio", 1.05}, std::pair{"ratio_q1", 1.04},
                                      std::pair{"ratio_q3", 1.07}, std::pair{"fallback_share", 0.25}}) {
    Record row = base(metric, value);
    row.item = "fixed_point";
    row.case_text = "data=activations;shape=256x1024x2048;threads=1";
    row.phase = "arithmetic";
    set_.add(row);
  }
  EXPECT_THAT(markdown(), HasSubstr("Exact arithmetic against fp32"));
  EXPECT_THAT(markdown(),
              HasSubstr("| fixed\\_point | activations | 256x1024x2048 | 1 | 13.0 ms | 1.05 | 1.04 – 1.07 | 25 % |"));
}

TEST_F(ReportTest, RatiosStandBesideTheirTargets) {
  EXPECT_THAT(markdown(), Not(HasSubstr("Held against a yardstick")));
  const auto ratio = [&](const std::string& item, const char* bound, double target, std::vector<double> repetitions) {
    const auto put = [&](const char* metric, double value) {
      Record row = base(metric, value);
      row.item = item;
      row.case_text = "ratio=" + item;
      row.phase = "ratio";
      set_.add(row);
    };
    put("time", 2e6);
    for (const double value : repetitions) {
      put("ratio", value);
      put("ratio_q1", value - 0.1);
      put("ratio_q3", value + 0.1);
    }
    put(bound, target);
  };
  ratio("stage/wq", "ratio_at_least", 0.7, {0.8, 0.75, 0.9});
  ratio("eval/woFwd", "ratio_at_most", 1.25, {1.1, 1.3, 1.2});
  EXPECT_THAT(markdown(), HasSubstr("| 0.800 | 0.700 – 0.900 | ≥ 0.7 | 3 of 3 |"));
  EXPECT_THAT(markdown(), HasSubstr("| 1.20 | 1.10 – 1.30 | ≤ 1.25 | 2 of 3 |"));
}

TEST_F(ReportTest, SettingsStandApart) {
  Record other = kernel_row("woFwd", "", "eval", "time", 7e6);
  other.run.profile = "h16";
  set_.add(other);
  const std::string text = markdown();
  EXPECT_THAT(text, HasSubstr("(emulator profile h16)"));
  EXPECT_THAT(text, HasSubstr("(emulator profile ieee)"));
  EXPECT_THAT(text, HasSubstr("| 7.00 ms |"));
}

TEST_F(ReportTest, ErrorsComeFromTheWorstCaseWithItsParts) {
  const auto part = [&](const std::string& profile, const std::string& seed, const std::string& metric, double value) {
    Record row = kernel_row("qBwd", "dx_q", "validate", metric, value);
    row.run.profile = profile;
    row.case_text += seed;
    set_.add(row);
  };
  const auto parts = [&](const std::string& profile, const std::string& seed, double total) {
    part(profile, seed, "error_total", total);
    part(profile, seed, "reference_rms", 2);
    part(profile, seed, "error_input", 3);
    part(profile, seed, "error_constants", 0);
    part(profile, seed, "error_output_rounding", 4);
    part(profile, seed, "error_arithmetic", 5);
  };
  parts("ieee", "", 0.0002);
  part("ieee", "", "excess", 1.5);
  parts("ieee", "1", 0.0004);  // the worst
  part("ieee", "1", "excess", 1.25);
  EXPECT_THAT(markdown(), HasSubstr("| kernel | block | error / rms | parts | excess |"));
  EXPECT_THAT(markdown(), HasSubstr("| qBwd | dx\\_q | 2.0e-04 | 18 / 0 / 32 / 50 | 1.25 |"));
  EXPECT_THAT(markdown(), Not(HasSubstr("1.0e-04")));
  // Another profile stands beside it; a block that is exact has no excess.
  part("h16", "", "error_total", 0);
  part("h16", "", "reference_rms", 2);
  const std::string text = markdown();
  EXPECT_THAT(text, HasSubstr("| kernel | block | h16: error / rms | h16: parts | h16: excess | ieee: error / rms |"));
  EXPECT_THAT(text, HasSubstr("| qBwd | dx\\_q | 0 | – | exact | 2.0e-04 | 18 / 0 / 32 / 50 | 1.25 |"));
}

TEST_F(ReportTest, TheErrorOfALayerGrowsInTheOrderOfItsSteps) {
  const auto chain = [&](const std::string& profile, const std::string& tensor, double place, const std::string& step,
                         double error, double own) {
    for (const auto& [metric, value] :
         {std::pair{"chain_step", place}, std::pair{"chain_error", error}, std::pair{"chain_own", own}}) {
      Record row = kernel_row("layer", tensor, "validate", metric, value);
      row.run.profile = profile;
      if (row.metric == "chain_step") row.text = step;
      set_.add(row);
    }
  };
  chain("ieee", "attn", 2, "sdpaFwd", 0.002, 0.001);
  chain("ieee", "xn", 1, "rmsnorm", 0.0001, 0.0001);
  chain("h16", "attn", 2, "sdpaFwd", 0.02, 0.01);
  const std::string text = markdown();
  EXPECT_THAT(text, HasSubstr("How the error grows through a layer, tiny seq 12"));
  EXPECT_THAT(text, HasSubstr("| tensor | made by | h16: error | h16: own | ieee: error | ieee: own |"));
  EXPECT_THAT(text, HasSubstr("| xn | rmsnorm | – | – | 1.0e-04 | 1.0e-04 |\n"
                              "| attn | sdpaFwd | 2.0e-02 | 1.0e-02 | 2.0e-03 | 1.0e-03 |"));
}

TEST_F(ReportTest, InterleavedRowsAreSortedByKernel) {
  add("qBwd", "", "eval", "time", 1e6);
  add("woFwd", "", "read", "time", 2e3);
  add("qBwd", "", "read", "time", 3e3);
  const std::string text = markdown();
  EXPECT_THAT(text, HasSubstr("3.00 ms | 2.00 µs | – | 0.0500 | – |\n| qBwd | – | – | – | – | 1.00 ms | 3.00 µs |"));
}

TEST_F(ReportTest, HardwareIsNotCalledEmulated) {
  ResultSet hardware;
  Record row = kernel_row("woFwd", "", "eval", "time", 7e6);
  row.run.backend = "apple";
  row.run.profile.clear();
  hardware.add(row);
  EXPECT_THAT(to_markdown(make_report(hardware)), Not(HasSubstr("emulator")));
  ResultSet stand_in;
  row.run.backend = "apple-standin";
  stand_in.add(row);
  EXPECT_THAT(to_markdown(make_report(stand_in)), HasSubstr("the emulator are its own"));
}

TEST_F(ReportTest, NothingMeasuredIsNoPass) { EXPECT_EQ(make_report({}).verdict, Verdict::incomplete); }

TEST_F(ReportTest, DefectsOfTheSelfTestHaveATable) {
  const auto detection = [&](const char* defect, const char* gate, double excess, double visibility) {
    Record row = kernel_row("woFwd", defect, "self_test", "defect_excess", excess);
    if (std::string(gate) != "none") set_.add(row);
    set_.add(fact(row, "defect_visibility", visibility));
    set_.add(fact(row, "defect_deviation", 14 * visibility));
    set_.add(fact(row, "defect_gate", gate));
  };
  detection("lane_zero", "bound", 25, 40);
  detection("bf16_store", "none", 0, 0.1);
  Record total = base("healthy_runs", 1377);
  total.phase = "self_test";
  set_.add(total);
  total = fact(total, "seed_defect", "cyclic head map: found in 9 of 9 cases");
  total.item = "cyclic head map";
  set_.add(total);
  const std::string text = to_markdown(make_report(set_));
  EXPECT_THAT(text, HasSubstr("| lane\\_zero | woFwd | 1 | 1 | ×25 | bound 1 | 0 | – |"));
  EXPECT_THAT(text, HasSubstr("| bf16\\_store | woFwd | 0 | 0 | – | – | 1 | 1.4 |"));
  EXPECT_THAT(text, HasSubstr("| healthy runs | 1377 |"));
  EXPECT_THAT(text, HasSubstr("| cyclic head map | found in 9 of 9 cases |"));
}

}  // namespace
}  // namespace aneval::reports
