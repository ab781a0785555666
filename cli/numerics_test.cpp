// Profiles, loss scales and random initialisation as commands: what users and scripts see of the chips' arithmetic.
#include "cli/cli_fixture.h"
#include "common/test_support.h"

namespace aneval {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

using Numerics = Cli;

TEST_F(Numerics, ListProfilesSaysWhatEveryRuleRestsOn) {
  const ProcessResult result = run({"list", "profiles"});
  EXPECT_EQ(result.code, 0);
  for (const char* name : {"ieee", "h13", "h14", "h15", "h16", "h17", "h18", "(default)", "contested", "unmeasured"})
    EXPECT_THAT(result.out, HasSubstr(name));
}

TEST_F(Numerics, UnknownProfilesAndSettingsAreOneLine) {
  expect_bad_input({"validate", "--profile", "h19"}, "did you mean");
  expect_bad_input({"validate", "--profile", "h16:reduce=wide"}, "reduce_sum=");
  expect_bad_input({"bench", "--profile", "h16:reduce_sum=narrow"}, "fp16");
}

TEST_F(Numerics, AnOperationWithoutARuleIsNamedWithItsLine) {
  write_file(path("p.mil"),
             "program(1.3)\n{\n  func main<ios18>(tensor<fp16, [2]> a) {\n"
             "    tensor<fp16, [2]> y = rsqrt(x = a)[name = string(\"y\")];\n  } -> (y);\n}\n");
  write_safetensors(path("in.safetensors"), NamedTensors{{"a", Tensor({2})}});
  const std::vector<std::string> run_it = {"mil",   "run",    path("p.mil"), "--inputs", path("in.safetensors"),
                                           "--out", path("o")};
  expect_bad_input(run_it, "p.mil:4:");
  expect_bad_input(run_it, "rsqrt");
  EXPECT_FALSE(fs::exists(path("o")));
  auto ieee = run_it;
  ieee.insert(ieee.end(), {"--profile", "ieee"});
  EXPECT_EQ(run(ieee).code, 0);
}

// 2048 + 1: the same program on the same input, an M1's answer and an M4's.
TEST_F(Numerics, TheProfileDecidesWhatAProgramGives) {
  write_file(path("p.mil"),
             "program(1.3)\n{\n  func main<ios18>(tensor<fp16, [1]> a, tensor<fp16, [1]> b) {\n"
             "    tensor<fp16, [1]> y = add(x = a, y = b)[name = string(\"y\")];\n  } -> (y);\n}\n");
  NamedTensors inputs = {{"a", Tensor({1})}, {"b", Tensor({1})}};
  inputs["a"].data = {2048};
  inputs["b"].data = {1};
  write_safetensors(path("in.safetensors"), inputs);
  for (const auto& [profile, expected] : {std::pair{"h13", 2048.0F}, std::pair{"h16", 2050.0F}}) {
    ASSERT_EQ(run({"mil", "run", path("p.mil"), "--inputs", path("in.safetensors"), "--out", path("o.safetensors"),
                   "--profile", profile})
                  .code,
              0);
    const StoredTensors outputs = read_safetensors(path("o.safetensors"));
    float value = 0;
    std::memcpy(&value, outputs.at("y").bytes.data(), sizeof value);
    EXPECT_EQ(value, expected) << profile;
  }
}

/// The value of a metric in the first row whose case and item contain these.
double value_of(const std::vector<Record>& rows, const std::string& metric, const std::string& in_case,
                const std::string& item) {
  for (const Record& row : rows)
    if (row.metric == metric && row.case_text.find(in_case) != std::string::npos && row.item == item) return *row.value;
  ADD_FAILURE() << "no " << metric << " of " << item << " in a case with " << in_case;
  return NAN;
}

TEST_F(Numerics, RecordsShowHeadroomAndDropsUnderGrowingLossScales) {
  const ProcessResult result =
      run({"validate", "--model", path("tiny.json"), "--kernel", "qBwd", "--out", path("v.csv")});
  ASSERT_EQ(result.code, 0) << result.out << result.err;
  const auto rows = rows_of(path("v.csv"));
  // What an M4 does to gradients of 1e-3 holds every bound and is of little use: said, with the cure.
  EXPECT_THAT(result.out, AllOf(HasSubstr("degraded     qBwd"), HasSubstr("gradients times 256 would drop"),
                                HasSubstr("3 ok, 1 degraded, 0 failed")));
  const std::string small = "grad=0.001;seed", scaled = "grad=0.001;loss_scale=4096;";
  EXPECT_GT(value_of(rows, "drop_fraction", small, "wq_product"), 0.1);
  EXPECT_LT(value_of(rows, "drop_fraction", scaled, "wq_product"), 0.01);
  // Scaling by 2^12 takes 12 bits, but for what was dropped or rounded.
  EXPECT_NEAR(value_of(rows, "headroom", small, "wq_product") - value_of(rows, "headroom", scaled, "wq_product"), 12,
              0.1);
  EXPECT_GT(value_of(rows, "slice_peak", small, "wq"), 0.1);
  const auto is_rule = [](const Record& row) { return row.metric == "profile_rule"; };
  EXPECT_EQ(std::count_if(rows.begin(), rows.end(), is_rule), 12 + 1);  // and 8-bit numbers, which are no setting
  EXPECT_TRUE(std::any_of(rows.begin(), rows.end(), [&](const Record& row) {
    return is_rule(row) && row.item == "reduce_sum" && row.text.starts_with("contested: ");
  }));
}

TEST_F(Numerics, RandomInitialisationIsRealDataThatAnyoneHas) {
  const ProcessResult result = run({"validate", "--random-init", "--model", path("tiny.json"), "--loss-scale", "256",
                                    "--kernel", "kvBwd", "--out", path("v.csv")});
  ASSERT_EQ(result.code, 0) << result.out << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("reference loss: 4.1"), HasSubstr("PASSED: 2 cases")));  // ln 64 = 4.16
  const auto rows = rows_of(path("v.csv"));
  EXPECT_GT(value_of(rows, "cosine", "data=init;amp=1;loss_scale=256;seed=1;layer=1", "dx_kv"), 0.99);
  // Too small a loss scale, and an M4 drops most of the backward pass: degraded, named, exit code 0.
  const ProcessResult faint =
      run({"validate", "--random-init", "--model", path("tiny.json"), "--kernel", "layer", "--loss-scale", "0.001"});
  EXPECT_EQ(faint.code, 0) << faint.err;
  EXPECT_THAT(faint.out, AllOf(HasSubstr("degraded"), HasSubstr("--loss-scale"), HasSubstr("0 failed")));
  expect_bad_input(
      {"validate", "--random-init", "--case", "kernel=kvBwd;data=init;seed=5;layer=0", "--model", path("tiny.json")},
      "--seed 5");
  expect_bad_input({"validate", "--random-init", "--weights", "w.bin", "--tokenizer", "t.bin", "--text", "a"},
                   "--random-init");
  expect_bad_input({"validate", "--case", "kernel=kvBwd;data=init;layer=0"}, "--random-init");
  expect_bad_input({"validate", "--case", "kernel=kvBwd;data=real;layer=0"}, "--weights");
}

TEST_F(Numerics, ThePrintedLineReproducesACaseOfARandomModel) {
  const ProcessResult result = run({"validate", "--random-init", "--model", path("tiny.json"), "--seq", "16",
                                    "--kernel", "layer", "--loss-scale", "0.001"});
  ASSERT_THAT(result.out, HasSubstr("degraded     layer"));
  const std::string label = "reproduce: aneval ";
  const auto at = result.out.find(label);
  ASSERT_NE(at, std::string::npos);
  const std::string line = result.out.substr(at + label.size(), result.out.find('\n', at) - at - label.size());
  // The model's path is named by its last part.
  const ProcessResult again = run_process({"sh", "-c", "cd " + folder_.string() + " && " + ANEVAL_BINARY + " " + line},
                                          std::chrono::minutes(1));
  EXPECT_EQ(again.code, 0) << again.out << again.err;
  EXPECT_THAT(again.out, HasSubstr("PASSED: 1 cases"));
}

TEST_F(Numerics, InputsBeyondFp16AreNamedAndNotJudged) {
  const ProcessResult result =
      run({"validate", "--model", path("tiny.json"), "--kernel", "qBwd", "--loss-scale", "65536"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.out, AllOf(HasSubstr("nonfinite    qBwd"), HasSubstr("slot dq"), HasSubstr("smaller loss scale"),
                                Not(HasSubstr("wrong_result"))));
}

TEST_F(Numerics, OnlyWhereProductsAreDroppedALossScaleIsNamed) {
  for (const std::string profile : {"h13", "ieee"}) {
    const ProcessResult result = run({"validate", "--model", path("tiny.json"), "--profile", profile, "--case",
                                      "kernel=qBwd;data=random;grad=1e-7"});
    EXPECT_THAT(result.out, AllOf(HasSubstr("degraded"), Not(HasSubstr("would drop")))) << profile;
  }
}

TEST_F(Numerics, LossScalesThatAreNoneAreRefused) {
  expect_bad_input({"validate", "--case", "kernel=qBwd;loss_scale=0"}, "loss_scale");
  expect_bad_input({"validate", "--case", "kernel=qBwd;loss_scale=-2"}, "loss_scale");
  for (const char* scale : {"nan", "inf", "-1"}) expect_bad_input({"validate", "--loss-scale", scale}, "--loss-scale");
  for (const std::string key : {"loss_scale=inf", "amp=nan", "amp=0", "grad=inf"})
    expect_bad_input({"validate", "--case", "kernel=qBwd;" + key}, key.substr(0, 3));
}

}  // namespace
}  // namespace aneval
