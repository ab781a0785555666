// weights=static as users meet it: a training that compiles its weights, goes on in fresh processes at the compile
// limit, and is the same training whatever stops it; and what the other commands make of the variant.
#include "cli/cli_fixture.h"
#include "common/result_file.h"
#include "common/test_support.h"

namespace aneval {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

/// Of the ten kernels eight hold weights; the model has two layers.
constexpr std::int64_t kShared = 2, kPerStep = 2 * 8, kSteps = 14;

class StaticWeightsCommand : public Cli {
 protected:
  std::vector<std::string> command(const std::string& out, const std::vector<std::string>& more = {},
                                   std::int64_t steps = kSteps) const {
    std::vector<std::string> all = {"train", "--model", path("small.json"), "--out", path(out)};
    all.insert(all.end(), {"--steps", std::to_string(steps), "--controls", "2", "--warmup", "2", "--lr", "0.01"});
    all.insert(all.end(), {"--look-every", "5", "--checkpoint-every", "3"});
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  void SetUp() override {
    Cli::SetUp();
    write_file(path("small.json"),
               R"({"name":"small","dim":32,"hidden":64,"heads":4,"kv_heads":2,"head_dim":8,"seq":16,"layers":2,)"
               R"("vocab":256})");
  }

  static std::vector<std::string> fixed(std::int64_t limit, const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = {"--variant", "weights=static"};
    if (limit > 0) all.insert(all.end(), {"--compile-limit", std::to_string(limit)});
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  std::vector<Record> rows(const std::string& out, const std::string& metric) const {
    std::vector<Record> found;
    for (const Record& row : rows_of(path(out) + "/results.csv"))
      if (row.metric == metric) found.push_back(row);
    return found;
  }
  double of_all(const std::string& out, const std::string& metric) const {
    for (const Record& row : rows(out, metric))
      if (row.item == "all") return row.value.value();
    throw std::logic_error("no row " + metric);
  }
  /// Everything that is not a time: equal for equal trainings, whatever processes took them.
  std::vector<std::string> facts(const std::string& out) const {
    std::vector<std::string> all;
    for (const Record& row : rows_of(path(out) + "/results.csv"))
      if (!row.case_text.empty() && row.unit != "ns" && row.metric != "tokens_per_s" && row.metric != "compile_count" &&
          row.metric != "process_count")
        all.push_back(row.case_text + ' ' + std::to_string(row.step.value_or(-1)) + ' ' +
                      std::to_string(row.layer.value_or(-1)) + ' ' + row.kernel + ' ' + row.item + ' ' + row.metric +
                      ' ' + (row.value ? std::to_string(*row.value) : "") + row.text);
    std::sort(all.begin(), all.end());
    return all;
  }
  std::vector<double> losses(const std::string& out) const {
    std::vector<double> all;
    for (const Record& row : rows(out, "loss"))
      if (row.case_text.starts_with("run=device;")) {
        EXPECT_EQ(row.step, static_cast<std::int64_t>(all.size()));
        all.push_back(row.value.value());
      }
    return all;
  }
  void expect_same_training(const std::string& out, const std::string& as) const {
    EXPECT_EQ(losses(out), losses(as)) << out;
    EXPECT_EQ(facts(out), facts(as)) << out;
    for (const char* name : {"checkpoint", "reference", "control1", "control2"}) {
      const std::string file = std::string("/") + name + ".safetensors";
      EXPECT_EQ(read_file(path(out) + file), read_file(path(as) + file)) << out << ' ' << name;
    }
    EXPECT_FALSE(fs::exists(path(out) + "/results.csv.partial"));
  }
};

TEST_F(StaticWeightsCommand, TrainsAsDynamicOnesDoAndCompilesEveryStep) {
  ASSERT_EQ(run(command("d")).code, 0);
  const ProcessResult result = run(command("s", fixed(0)));
  ASSERT_EQ(result.code, 0) << result.err << result.out;
  EXPECT_THAT(result.out, HasSubstr("226 programs compiled for 2 layers and 14 steps, as claimed: 2 shared ones per "
                                    "process, 16 with weights in them per step"));
  EXPECT_EQ(losses("s"), losses("d"));
  EXPECT_EQ(losses("s").size(), static_cast<std::size_t>(kSteps));
  EXPECT_EQ(read_file(path("s") + "/checkpoint.safetensors"), read_file(path("d") + "/checkpoint.safetensors"));
  EXPECT_EQ(of_all("s", "compile_count"), kShared + kSteps * kPerStep);
  EXPECT_EQ(of_all("s", "process_count"), 1);
  for (const Record& row : rows("s", "compile_count")) {
    EXPECT_EQ(row.variant, "weights=static");
    if (row.step) {
      EXPECT_EQ(row.value, kPerStep + (row.step == 0 ? kShared : 0));
    }
  }
  EXPECT_EQ(rows("s", "compile_count").size(), static_cast<std::size_t>(kSteps) + 1);
  std::set<std::string> phases;
  for (const Record& row : rows("s", "time")) phases.insert(row.phase);
  EXPECT_THAT(phases, ::testing::IsSupersetOf({"compile", "load", "restage"}));
  EXPECT_EQ(of_all("d", "compile_count"), 10);
}

TEST_F(StaticWeightsCommand, GoesOnInFreshProcessesAtTheLimit) {
  ASSERT_EQ(run(command("whole", fixed(0))).code, 0);
  // From one step per process to all but the last in the first one; between them limits that no process uses up.
  for (const std::int64_t per_process : {1, 3, 13}) {
    const std::int64_t processes = (kSteps + per_process - 1) / per_process;
    for (const std::int64_t spare : {0, 15}) {
      const std::string out = std::to_string(per_process) + "-" + std::to_string(spare);
      const ProcessResult result = run(command(out, fixed(kShared + per_process * kPerStep + spare)));
      ASSERT_EQ(result.code, 0) << result.err << result.out;
      EXPECT_EQ(result.err, "");
      expect_same_training(out, "whole");
      EXPECT_EQ(of_all(out, "process_count"), processes);
      EXPECT_EQ(of_all(out, "compile_count"), processes * kShared + kSteps * kPerStep);
      EXPECT_THAT(result.out, HasSubstr("in " + std::to_string(processes) + " processes, as claimed"));
      std::set<std::int64_t> procs;
      for (const Record& row : rows(out, "loss"))
        if (row.case_text.starts_with("run=device;")) {
          EXPECT_EQ(row.run.proc, *row.step / per_process);
          procs.insert(row.run.proc);
        }
      EXPECT_EQ(procs.size(), static_cast<std::size_t>(processes));
      // Beside the verdict stand the times of all steps, not of the last process' alone.
      EXPECT_EQ(rows(out, "tokens_per_s").size(), static_cast<std::size_t>(kSteps));
    }
  }
  // A step that an earlier process dumped is no reason to stop.
  ASSERT_EQ(run(command("dump", fixed(kShared + 3 * kPerStep, {"--dump-step", "1", "--dump-step", "7"}))).code, 0);
  ASSERT_EQ(run(command("dump-whole", fixed(0, {"--dump-step", "1", "--dump-step", "7"}))).code, 0);
  for (const char* file : {"/step-1.safetensors", "/step-7.safetensors"})
    EXPECT_EQ(read_file(path("dump") + file), read_file(path("dump-whole") + file));
  // All in one process: the limit is never in the way.
  ASSERT_EQ(run(command("enough", fixed(kShared + kSteps * kPerStep))).code, 0);
  EXPECT_EQ(of_all("enough", "process_count"), 1);
}

TEST_F(StaticWeightsCommand, ALimitThatAllowsForNoStepIsRefusedBeforeAnythingIsWritten) {
  expect_bad_input(
      command("small", fixed(kShared + kPerStep - 1)),
      "--compile-limit 17: a process compiles 2 shared programs, and 16 with weights in them for its first "
      "step: allow at least 18");
  expect_bad_input(command("small", {"--compile-limit", "9"}), "allow at least 10");
  EXPECT_TRUE(fs::is_empty(path("small")));
  ASSERT_EQ(run(command("enough", {"--compile-limit", "10"})).code, 0);
}

// kill -9 at random moments, between and within processes.
TEST_F(StaticWeightsCommand, KilledAtAnyMomentItGoesOnBitForBit) {
  const std::int64_t limit = kShared + 2 * kPerStep;
  ASSERT_EQ(run(command("whole", fixed(0))).code, 0);
  Random random(11);
  std::vector<std::string> arguments = command("killed", fixed(limit, {"--resume"}));
  arguments.insert(arguments.begin(), ANEVAL_BINARY);
  int kills = 0;
  for (;; ++kills) {
    const ProcessResult result = run_process(arguments, std::chrono::milliseconds(20 + random.below(40 + 20 * kills)));
    if (result.end == ProcessResult::End::exited) {
      ASSERT_EQ(result.code, 0) << result.err;
      break;
    }
    ASSERT_LT(kills, 200) << "it never ends";
  }
  EXPECT_GT(kills, 0);
  expect_same_training("killed", "whole");
  // Whoever was killed, every kept step compiled its weights once.
  EXPECT_EQ(of_all("killed", "compile_count"), of_all("killed", "process_count") * kShared + kSteps * kPerStep);
}

// The signal goes to the one process that there is, whichever of them that is by then.
TEST_F(StaticWeightsCommand, SigtermStopsAllOfIt) {
  constexpr std::int64_t kMany = 60;
  ASSERT_EQ(run(command("whole", fixed(0), kMany)).code, 0);
  int interrupted = 0;
  for (int round = 0; round < 4; ++round) {
    std::string line = ANEVAL_BINARY;
    for (const std::string& argument : command("t", fixed(kShared + kPerStep, {"--resume"}), kMany))
      line += " '" + argument + "'";
    const std::string pause = "0." + std::to_string(1 + 13 * round);
    // Not before it writes: until then it may be what any process is that just starts.
    const std::string bytes = "$(cat '" + path("t") + "'/results.csv* 2>/dev/null | wc -c)";
    const ProcessResult result =
        run_process({"sh", "-c",
                     "n=" + bytes + "; " + line + " & p=$!; while kill -0 $p && [ " + bytes +
                         " = $n ]; do sleep 0.01; done; sleep " + pause + "; kill -TERM $p; wait $p"},
                    std::chrono::minutes(2));
    ASSERT_EQ(result.end, ProcessResult::End::exited);
    if (result.code == 0) break;
    EXPECT_EQ(result.code, 143) << result.err;
    EXPECT_THAT(result.err, HasSubstr("INTERRUPTED: --resume goes on"));
    ++interrupted;
  }
  EXPECT_GT(interrupted, 0);
  ASSERT_EQ(run(command("t", fixed(kShared + kPerStep, {"--resume"}), kMany)).code, 0);
  expect_same_training("t", "whole");
}

TEST_F(StaticWeightsCommand, LayersRunWithTheBitsOfDynamicOnesAndSingleKernelsAreRefused) {
  write_tensors("in.safetensors", layer_shapes());
  const auto run_op = [&](const std::string& op, const std::string& variant, const std::string& out) {
    return std::vector<std::string>{
        "run",       "--op",  op,      "--model", path("tiny.json"), "--tensors", path("in.safetensors"),
        "--variant", variant, "--out", path(out)};
  };
  ASSERT_EQ(run(run_op("layer_backward", "weights=static", "s")).code, 0);
  ASSERT_EQ(run(run_op("layer_backward", "weights=dynamic", "d")).code, 0);
  EXPECT_EQ(read_file(path("s")), read_file(path("d")));
  expect_bad_input(run_op("layer_backward", "weights=compiled", "n"),
                   "variant weights 'compiled': unknown: known: dynamic, static");

  write_tensors("in.safetensors", {{"attn", {32, 12}}, {"wo_t", {32, 32}}, {"wo", {32, 32}}});
  expect_bad_input(run_op("woFwd", "weights=static", "n"), "weights=static: compiles 'wo' into the program");
  EXPECT_FALSE(fs::exists(path("n")));
  // What is staged are activations: weights have no place on the surface.
  const auto stage = [&](const std::string& variant) {
    return std::vector<std::string>{
        "stage",     "--kernel", "woFwd", "--model",    path("tiny.json"), "--tensors", path("in.safetensors"),
        "--variant", variant,    "--out", path(variant)};
  };
  ASSERT_EQ(run(stage("weights=static")).code, 0);
  ASSERT_EQ(run(stage("weights=dynamic")).code, 0);
  EXPECT_EQ(fs::file_size(path("weights=static")), 2U * 32 * 12);
  EXPECT_EQ(fs::file_size(path("weights=dynamic")), 2U * 32 * (12 + 32));
}

TEST_F(StaticWeightsCommand, ProgramsWithoutWeightsOrFromFilesAreRefused) {
  const std::vector<std::string> emit = {"mil", "emit", "--model", path("tiny.json"), "--variant", "weights=static"};
  const auto of = [&](const std::string& kernel) {
    std::vector<std::string> all = emit;
    all.insert(all.end(), {"--kernel", kernel});
    return all;
  };
  expect_bad_input(of("qBwd"), "weights=static: compiles 'wq' into the program, and there is none");
  EXPECT_EQ(run(of("sdpaBwd1")).code, 0) << "has no weights";
  fs::create_directories(path("programs"));
  expect_bad_input(
      {"train", "--out", path("p"), "--steps", "1", "--variant", "weights=static", "--programs", path("programs")},
      "a program from a file holds weights of its own");
}

// What no chip's rule says is refused before anything is compiled or written; what was not asked for is left out.
TEST_F(StaticWeightsCommand, EightBitsWithoutARuleAreRefusedWithItsName) {
  for (const char* profile : {"h13", "h15"}) {
    const std::string rule = std::string("profile ") + profile + " has no rule eight_bits";
    expect_bad_input({"validate", "--profile", profile, "--variant", "weights=w8a8", "--out", path("n.csv")}, rule);
    expect_bad_input({"validate", "--profile", profile, "--case", "kernel=woFwd;model=Stories110M;weights=w8a8"}, rule);
    expect_bad_input({"train", "--profile", profile, "--variant", "weights=w8a8", "--steps", "1", "--out", path("t")},
                     rule);
  }
  EXPECT_FALSE(fs::exists(path("n.csv")));
  EXPECT_FALSE(fs::exists(path("t") + "/results.csv"));
  for (const auto& [variant, missing] : {std::pair{"weights=int8", "compiles 'wo' into the program, and there is none"},
                                         {"weights=w8a8", "chooses the scale of 'attn' by its numbers"}})
    expect_bad_input({"mil", "emit", "--kernel", "woFwd", "--model", path("tiny.json"), "--variant", variant},
                     std::string(variant) + ": " + missing);
  for (const char* profile : {"h13", "h16"})
    for (const char* variant : {"weights=int8", "weights=w8a8"}) {
      if (std::string(profile) == "h13" && std::string(variant) == "weights=w8a8") continue;
      const ProcessResult all = run({"validate", "--model", path("tiny.json"), "--profile", profile, "--variant",
                                     variant, "--out", path("v.csv")});
      EXPECT_EQ(all.code, 0) << all.out << all.err;
      std::set<std::string> clipped;
      for (const Record& row : rows_of(path("v.csv")))
        if (row.metric == "clip_fraction") clipped.insert(row.kernel + " " + row.item);
      EXPECT_EQ(clipped.size(), std::string(variant) == "weights=w8a8" ? 4U : 0U);  // xn, attn, xm, act
    }
}

TEST_F(StaticWeightsCommand, EightBitsTrainAndCompileAsStaticOnesDo) {
  for (const char* variant : {"weights=int8", "weights=w8a8"}) {
    const std::string out = std::string("t") + variant;
    const ProcessResult result = run(command(out, {"--variant", variant}, 4));
    EXPECT_EQ(result.code, 0) << result.err << result.out;
    EXPECT_EQ(of_all(out, "compile_count"), kShared + 4 * kPerStep);
    // At the limit in fresh processes: the same training.
    const std::string limited = out + "l";
    ASSERT_EQ(
        run(command(limited, {"--variant", variant, "--compile-limit", std::to_string(kShared + kPerStep)}, 4)).code,
        0);
    EXPECT_EQ(losses(limited), losses(out));
    EXPECT_EQ(of_all(limited, "process_count"), 4);
  }
}

TEST_F(StaticWeightsCommand, KernelsAndLayersAreValidatedAndTimed) {
  const ProcessResult all =
      run({"validate", "--model", path("tiny.json"), "--variant", "weights=static", "--out", path("v.csv")});
  EXPECT_EQ(all.code, 0) << all.out << all.err;
  std::set<std::string> kernels;
  for (const Record& row : rows_of(path("v.csv")))
    if (row.variant == "weights=static" && row.metric == "bound_ratio") kernels.insert(row.kernel);
  EXPECT_EQ(kernels.size(), 12U);  // those of a layer, the generic matmul, the layer
  const ProcessResult isolated =
      run({"validate", "--isolate", "--case", "kernel=woFwd;model=Stories110M;seq=16;weights=static;data=random"});
  EXPECT_EQ(isolated.code, 0) << isolated.out << isolated.err;
  EXPECT_THAT(isolated.out, HasSubstr("weights=static"));
  const ProcessResult bench = run({"bench", "--model", path("tiny.json"), "--variant", "weights=static",
                                   "--benchmark_filter=^(sdpaFwd|layer_backward|train_step)/",
                                   "--benchmark_min_time=0.001", "--out", path("b.csv")});
  EXPECT_EQ(bench.code, 0) << bench.out << bench.err;
  EXPECT_THAT(bench.out, AllOf(HasSubstr("sdpaFwd/compile"), Not(HasSubstr("stage_weights")), HasSubstr("train_step")));
}

}  // namespace
}  // namespace aneval
