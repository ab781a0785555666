// Programs of users: emitted, changed, broken, run.
#include "cli/cli_fixture.h"

namespace aneval {
namespace {

using ::testing::HasSubstr;

class Programs : public Cli {
 protected:
  void SetUp() override {
    Cli::SetUp();
    fs::create_directories(folder_ / "programs");
    ASSERT_EQ(
        run({"mil", "emit", "--kernel", "sdpaFwd", "--model", path("tiny.json"), "--out", path("programs/sdpaFwd.mil")})
            .code,
        0);
    text_ = read_text_file(path("programs/sdpaFwd.mil"));
  }

  ProcessResult validate() {
    return run({"validate", "--model", path("tiny.json"), "--kernel", "sdpaFwd", "--programs", path("programs")});
  }
  void replace(const std::string& from, const std::string& to) {
    const std::size_t at = text_.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text_.replace(at, from.size(), to);
    write_file(path("programs/sdpaFwd.mil"), text_);
  }

  std::string text_;
};

TEST_F(Programs, AnEmittedProgramPassesAsExternal) {
  const ProcessResult result = validate();
  EXPECT_EQ(result.code, 0) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("external"));
}

TEST_F(Programs, AChangedScaleFails) {
  // 1/sqrt(8) as fp16 is 0x1.6ap-2; one percent more.
  replace("0x1.6ap-2", "0x1.6d8p-2");
  const ProcessResult result = validate();
  EXPECT_EQ(result.code, 1) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("wrong_result"));
}

TEST_F(Programs, ACyclicConcatFails) {
  // The values of the tiled keys: 0 0 1 1 becomes 0 1 0 1.
  replace("(k_head0, k_head0, k_head1, k_head1)", "(k_head0, k_head1, k_head0, k_head1)");
  const ProcessResult result = validate();
  EXPECT_EQ(result.code, 1) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("wrong_result"));
}

TEST_F(Programs, AWrongSignatureIsRefusedBeforeAnythingRuns) {
  const ProcessResult result = run(
      {"validate", "--model", path("tiny.json"), "--seq", "16", "--kernel", "sdpaFwd", "--programs", path("programs")});
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, HasSubstr("sdpaFwd.mil"));
  EXPECT_THAT(result.err, HasSubstr("layout"));
}

TEST_F(Programs, BrokenTextIsNamedWithLineAndColumn) {
  write_file(path("programs/sdpaFwd.mil"), std::string_view("program(1.3)\n{ func main<ios18>( } -> (y); }\n"));
  const ProcessResult result = validate();
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, HasSubstr("sdpaFwd.mil:2:"));
}

TEST_F(Programs, AMissingWeightFileIsNamed) {
  fs::remove(path("programs/weights/causal_mask.bin"));
  const ProcessResult result = validate();
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, HasSubstr("causal_mask.bin"));
}

TEST_F(Programs, CheckListsFindingsAndExitsWithOne) {
  EXPECT_EQ(run({"mil", "check", path("programs/sdpaFwd.mil")}).code, 0);
  EXPECT_EQ(run({"mil", "check", path("programs/sdpaFwd.mil"), "--weights-dir", path("programs")}).code, 0);
  replace("softmax", "softmix");
  const ProcessResult result = run({"mil", "check", path("programs/sdpaFwd.mil")});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.out, HasSubstr("sdpaFwd.mil:"));
  EXPECT_THAT(result.out, HasSubstr(": error: "));
  EXPECT_THAT(result.out, HasSubstr("softmax"));
}

TEST_F(Programs, MilRunAgreesWithRunOnTheSameTensors) {
  // The packed input of sdpaFwd by hand: xn | wq_t | wk_t | wv_t, W = 12 + 32 + 16 + 16.
  const NamedTensors slots = write_tensors(
      "slots.safetensors", {{"xn", {32, 12}}, {"wq_t", {32, 32}}, {"wk_t", {32, 16}}, {"wv_t", {32, 16}}});
  Tensor packed({1, 32, 1, 76});
  for (std::int64_t c = 0; c < 32; ++c) {
    std::int64_t at = 0;
    for (const char* name : {"xn", "wq_t", "wk_t", "wv_t"}) {
      const Tensor& slot = slots.at(name);
      for (std::int64_t w = 0; w < slot.cols(); ++w)
        packed.data[static_cast<std::size_t>(c * 76 + at++)] = slot.data[static_cast<std::size_t>(c * slot.cols() + w)];
    }
  }
  write_safetensors(path("packed.safetensors"), {{"x", packed}});
  ASSERT_EQ(run({"mil", "run", path("programs/sdpaFwd.mil"), "--inputs", path("packed.safetensors"), "--out",
                 path("out.safetensors")})
                .code,
            0);
  ASSERT_EQ(run({"run", "--op", "sdpaFwd", "--model", path("tiny.json"), "--tensors", path("slots.safetensors"),
                 "--out", path("blocks.safetensors")})
                .code,
            0);
  const StoredTensors whole = read_safetensors(path("out.safetensors"));
  const StoredTensors blocks = read_safetensors(path("blocks.safetensors"));
  std::vector<std::byte> joined;
  for (const char* name : {"attn", "q_rope", "k_rope", "v", "xn"}) {
    const auto& bytes = blocks.at(name).bytes;
    joined.insert(joined.end(), bytes.begin(), bytes.end());
  }
  EXPECT_EQ(whole.at("out").bytes, joined);
}

}  // namespace
}  // namespace aneval
