// aneval train: what users and scripts see, and that a training which is killed and continued is the same training.
#include "cli/cli_fixture.h"
#include "common/result_file.h"
#include "common/test_support.h"

namespace aneval {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class TrainCommand : public Cli {
 protected:
  void SetUp() override {
    Cli::SetUp();
    write_file(path("small.json"),
               R"({"name":"small","dim":32,"hidden":64,"heads":4,"kv_heads":2,"head_dim":8,"seq":16,"layers":2,)"
               R"("vocab":256})");
  }

  /// Small defaults, and `more`, which may name them again.
  std::vector<std::string> command(const std::string& out, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all = {"train", "--model", path("small.json"), "--out", path(out)};
    all.insert(all.end(), more.begin(), more.end());
    const std::map<std::string, std::string> defaults = {{"--steps", "14"},     {"--controls", "2"},
                                                         {"--warmup", "2"},     {"--lr", "0.01"},
                                                         {"--look-every", "5"}, {"--checkpoint-every", "3"}};
    for (const auto& [option, value] : defaults)
      if (std::find(more.begin(), more.end(), option) == more.end()) all.insert(all.end(), {option, value});
    return all;
  }
  void expect_bad(const std::vector<std::string>& more, const std::string& text) const {
    expect_bad_input(command("bad", more), text);
  }

  std::vector<Record> rows(const std::string& out, const std::string& metric, const std::string& run = {}) const {
    std::vector<Record> found;
    for (const Record& row : rows_of(path(out) + "/results.csv"))
      if (row.metric == metric && (run.empty() || row.case_text.starts_with("run=" + run + ";"))) found.push_back(row);
    return found;
  }
  /// Loss by step of every run.
  std::map<std::string, std::vector<double>> losses(const std::string& out) const {
    std::map<std::string, std::vector<double>> all;
    for (const Record& row : rows(out, "loss")) {
      EXPECT_EQ(row.step, static_cast<std::int64_t>(all[row.case_text].size())) << row.case_text;
      all[row.case_text].push_back(row.value.value());
    }
    return all;
  }
};

TEST_F(TrainCommand, RunsDeviceReferenceAndControlsSideBySide) {
  const ProcessResult result = run(command("t", {"--steps", "24"}));
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("small: 2 layers, seq 16"), HasSubstr("27 of the 256 entries"),
                    HasSubstr("10 programs compiled for 2 layers and 24 steps, as claimed"), HasSubstr("VERDICT: ")));
  EXPECT_EQ(result.err, "");
  const auto curves = losses("t");
  ASSERT_EQ(curves.size(), 4U);
  for (const auto& [name, curve] : curves) {
    EXPECT_EQ(curve.size(), 24U) << name;
    EXPECT_LT(curve.back(), curve.front()) << name;
  }
  EXPECT_EQ(rows("t", "loss", "device")[0].run.backend, "emulator");
  EXPECT_EQ(rows("t", "loss", "control1")[0].run.backend, "reference");
  EXPECT_EQ(rows("t", "loss", "control1")[0].run.profile, "");
  // Looked at in steps 0, 5, …, 20 and 23: 9 tensors of each layer, embedding and rms_final.
  EXPECT_EQ(rows("t", "grad_cosine").size(), 6U * (2 * 9 + 2));
  for (const Record& row : rows("t", "grad_cosine")) EXPECT_GT(row.value.value(), 0.99) << row.item;
  EXPECT_EQ(rows("t", "grad_cosine")[0].item, "embedding");
  EXPECT_EQ(rows("t", "grad_cosine")[2].layer, 0);
  EXPECT_EQ(rows("t", "drop_fraction").size(), 6U * 10);
  EXPECT_EQ(rows("t", "largest_abs").size(), 6U);
  EXPECT_EQ(rows("t", "compile_count").at(0).value, 10);  // in step 0, and in no other
  EXPECT_EQ(rows("t", "compile_count").at(1).value, 0);
  EXPECT_EQ(rows("t", "compile_count").back().value, 10);
  EXPECT_EQ(rows("t", "tokens_per_s").size(), 24U);
  std::set<std::string> phases;
  for (const Record& row : rows("t", "time")) phases.insert(row.phase);
  EXPECT_THAT(phases, ::testing::IsSupersetOf({"eval", "write_acts", "read", "rmsnorm", "silu", "tile", "reduce",
                                               "classifier", "weight_grad", "optimizer", "restage", "train_step"}));
  EXPECT_EQ(rows("t", "cases_done").at(0).value, 4 * 24);
  EXPECT_TRUE(fs::exists(path("t") + "/environment.json"));

  // Done is done; and nothing is overwritten by accident. What a process killed at its very beginning leaves is
  // nothing.
  write_file(path("t") + "/results.csv.partial", std::string_view());
  const ProcessResult again = run(command("t", {"--steps", "24", "--resume"}));
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(losses("t"), curves);
  expect_bad_input(command("t", {"--steps", "24"}), "exists already");
}

// kill -9 at random moments, also while files are being written, until the training has come to its end.
TEST_F(TrainCommand, KilledAtAnyMomentItGoesOnBitForBit) {
  ASSERT_EQ(run(command("whole")).code, 0);
  const auto whole = losses("whole");
  ASSERT_EQ(whole.size(), 4U);
  Random random(7);
  std::vector<std::string> arguments = command("killed", {"--resume"});
  arguments.insert(arguments.begin(), ANEVAL_BINARY);
  int kills = 0;
  for (;; ++kills) {
    // The first ones hardly get to the first checkpoint, later ones do: it ends on any machine.
    const std::chrono::milliseconds limit(20 + random.below(40 + 20 * kills));
    const ProcessResult result = run_process(arguments, limit);
    if (result.end == ProcessResult::End::exited) {
      ASSERT_EQ(result.code, 0) << result.err;
      break;
    }
    ASSERT_LT(kills, 200) << "it never ends";
  }
  EXPECT_GT(kills, 0);
  EXPECT_EQ(losses("killed"), whole);
  for (const char* name : {"checkpoint", "reference", "control1", "control2"}) {
    const std::string file = std::string("/") + name + ".safetensors";
    EXPECT_EQ(read_file(path("killed") + file), read_file(path("whole") + file)) << name;
  }
}

TEST_F(TrainCommand, ACheckpointGoesOnWithAnotherBackendsArithmetic) {
  // A checkpoint from the middle of a run is what a killed one leaves.
  std::vector<std::string> arguments = command("b", {"--checkpoint", path("moved.safetensors")});
  arguments.insert(arguments.begin(), ANEVAL_BINARY);
  for (int limit = 40; !fs::exists(path("moved.safetensors")) && limit < 4000; limit += 10) {
    fs::remove_all(path("b"));
    run_process(arguments, std::chrono::milliseconds(limit));
  }
  ASSERT_TRUE(fs::exists(path("moved.safetensors")));
  const ProcessResult other =
      run(command("c", {"--checkpoint", path("moved.safetensors"), "--resume", "--profile", "h13"}));
  ASSERT_EQ(other.code, 0) << other.err << other.out;
  EXPECT_EQ(rows("c", "loss", "reference").size(), 14U);
  EXPECT_LT(rows("c", "loss", "device").size(), 14U) << "its first steps were the other run's";
}

TEST_F(TrainCommand, OverlapAndThreadsChangeNoBit) {
  ASSERT_EQ(run(command("a", {"--threads", "1"})).code, 0);
  ASSERT_EQ(run(command("b", {"--threads", "3", "--overlap"})).code, 0);
  EXPECT_EQ(losses("a"), losses("b"));
  EXPECT_EQ(read_file(path("a") + "/checkpoint.safetensors"), read_file(path("b") + "/checkpoint.safetensors"));
}

TEST_F(TrainCommand, AWrongHeadMapTrainsAndIsGivenAwayByItsGradients) {
  const ProcessResult result = run(command("t", {"--steps", "24", "--variant", "head_map=cyclic_fwd"}));
  EXPECT_EQ(result.code, 1) << result.out;
  EXPECT_THAT(result.out, HasSubstr("VERDICT: does not train as fp32"));
  EXPECT_LT(rows("t", "loss", "device").back().value, rows("t", "loss", "device").front().value);
  double smallest = 1;
  for (const Record& row : rows("t", "grad_cosine")) smallest = std::min(smallest, row.value.value());
  EXPECT_LT(smallest, 0.9);
}

TEST_F(TrainCommand, AnOverflowIsAnEventAndNoUpdate) {
  const ProcessResult result = run(command("t", {"--steps", "3", "--controls", "0", "--loss-scale", "1e12"}));
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("no weight was changed"), HasSubstr("NO VERDICT")));
  const auto events = rows("t", "overflow_count", "device");
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[0].status, Status::nonfinite);
  EXPECT_EQ(rows("t", "overflow_count", "reference").size(), 0U);
}

TEST_F(TrainCommand, DataOfEveryKind) {
  std::vector<std::uint16_t> narrow(200);
  for (std::size_t i = 0; i < narrow.size(); ++i) narrow[i] = static_cast<std::uint16_t>(i % 50);
  write_file(path("ids"), std::as_bytes(std::span(narrow)));
  write_file(path("text"), std::string(300, 'a') + "b");
  const std::vector<std::string> quick = {"--steps", "2", "--controls", "0"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), quick.begin(), quick.end());
    return more;
  };
  const ProcessResult ids = run(command("ids-out", with({"--data", path("ids"), "--token-bits", "16"})));
  EXPECT_THAT(ids.out, HasSubstr("200 tokens, 50 of the 256 entries of the vocabulary occur")) << ids.err;
  const ProcessResult text = run(command("text-out", with({"--data", path("text")})));
  EXPECT_THAT(text.out, HasSubstr("301 tokens, 2 of the 256 entries")) << text.err;

  narrow[5] = 256;
  write_file(path("ids"), std::as_bytes(std::span(narrow)));
  expect_bad({"--data", path("ids"), "--token-bits", "16"}, "token 256 at position 5 is outside the vocabulary of 256");
  write_file(path("short"), std::string(16, 'a'));
  expect_bad({"--data", path("short")}, "16 tokens are fewer than a sequence of 16 and the token after it");
  expect_bad({"--token-bits", "16"}, "--token-bits");
  expect_bad({"--data", path("none")}, "cannot open");
  expect_bad({"--loss-scale", "0"}, "--loss-scale");
  expect_bad({"--controls", "1"}, "one has no spread");
  expect_bad({"--token-bits", "8", "--data", path("ids")}, "--token-bits");
}

TEST_F(TrainCommand, DamagedAndForeignCheckpointsAreRefused) {
  ASSERT_EQ(run(command("t")).code, 0);
  expect_bad_input(command("t", {"--resume", "--lr", "0.02"}), "made with lr=0.01, not with lr=0.02");
  expect_bad_input(command("t", {"--resume", "--layers", "1"}), "it is of model");
  auto content = read_file(path("t") + "/checkpoint.safetensors");
  content[content.size() - 100] ^= std::byte{1};
  write_file(path("t") + "/checkpoint.safetensors", content);
  expect_bad_input(command("t", {"--resume"}), "its checksum does not hold");
}

}  // namespace
}  // namespace aneval
