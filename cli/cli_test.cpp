// The binary as its users meet it: what it prints, what it writes, and what it says to bad input.
#include "cli/cli_fixture.h"
#include "common/test_support.h"

namespace aneval {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST_F(Cli, HelpAndVersionNameTheProgram) {
  // Version, commit (with what is not committed), preset, compiler, vector instructions.
  EXPECT_THAT(run({"--version"}).out,
              ::testing::ContainsRegex("^aneval [0-9.]+ \\(([0-9a-f]{7,}(\\+dirty)?|unknown), "
                                       "[a-z0-9+]+-(gcc|clang|appleclang)[0-9]+-[a-z0-9_]+\\)\n$"));
  const ProcessResult help = run({"--help"});
  EXPECT_EQ(help.code, 0);
  for (const char* command : {"doctor", "list", "validate", "run", "stage", "mil"})
    EXPECT_THAT(help.out, HasSubstr(command));
  for (const char* command : {"doctor", "list", "validate", "run", "stage", "mil"})
    EXPECT_EQ(run({command, "--help"}).code, 0) << command;
}

TEST_F(Cli, WrongArgumentsAreOneLineWithTheRemedy) {
  expect_bad_input({}, "--help");
  expect_bad_input({"valid"}, "--help");
  expect_bad_input({"validate", "--kernle", "x"}, "--kernle");
  expect_bad_input({"validate", "--model", "Qwen3-0.6"}, "Qwen3-0.6B");
  expect_bad_input({"validate", "--kernel", "sdpaFwt"}, "sdpaFwd");
  expect_bad_input({"validate", "--profile", "iee"}, "ieee");
  expect_bad_input({"validate", "--backend", "emulater"}, "emulator");
  expect_bad_input({"validate", "--backend", "reference"}, "reference");
  expect_bad_input({"validate", "--variant", "pad=31"}, "pad");
  expect_bad_input({"validate", "--quick", "--full"}, "--quick");
  expect_bad_input({"validate", "--weights", "x.bin"}, "--text");
  expect_bad_input({"validate", "--loss-scale", "0"}, "--loss-scale");
  expect_bad_input({"validate", "--case", "kernel=woFwd;sead=3"}, "seed");
  expect_bad_input({"validate", "--case", "kernel=woFwd;data=real"}, "--weights");
  expect_bad_input({"validate", "--case", "kernel=layer;data=sinks"}, "data=random");
  expect_bad_input({"validate", "--filter", "kernel=woFwd;sead=3"}, "seed");
  expect_bad_input({"validate", "--filter", "data=sink"}, "sinks");
  expect_bad_input({"validate", "--filter", "kernel=woFwd;data=sinks"}, "--full");  // sinks are for attention
  expect_bad_input({"validate", "--filter", ""}, "--filter");
  expect_bad_input({"validate", "--filter", "data=sinks", "--case", "kernel=woFwd"}, "--filter");
  expect_bad_input({"validate", "--kernel", "woFwd", "--filter", "kernel=qBwd"}, "--filter");
  expect_bad_input({"list", "cases", "--filter", "kernel=nothing"}, "--filter");
  expect_bad_input({"list", "kernels", "--filter", "kernel=woFwd"}, "--filter");
  expect_bad_input({"validate", "--programs", path("nowhere")}, "nowhere");
  expect_bad_input({"list", "kernel"}, "kernels");
  expect_bad_input({"mil", "emit", "--kernel", "woFwd", "--dialect", "modren"}, "modern");
}

TEST_F(Cli, OutputsThatCannotBeWrittenAreRefusedBeforeAnyWork) {
  write_file(path("file"), std::string_view("x"));
  expect_bad_input({"validate", "--kernel", "woFwd", "--out", path("file") + "/sub.csv"}, "sub.csv");
  expect_bad_input({"run", "--op", "woFwd", "--tensors", "x", "--out", path("no/such/folder/o.safetensors")}, "folder");
}

TEST_F(Cli, AnAbsentBackendIsRefusedWithExitCode3) {
  const ProcessResult result = run({"validate", "--backend", "apple", "--kernel", "woFwd"});
  EXPECT_EQ(result.code, 3);
  EXPECT_THAT(result.err, HasSubstr("emulator"));
}

TEST_F(Cli, ImpossibleShapesNameTheField) {
  write_file(
      path("odd.json"),
      R"({"name":"odd","dim":32,"hidden":48,"heads":4,"kv_heads":3,"head_dim":8,"seq":12,"layers":2,"vocab":64})");
  expect_bad_input({"validate", "--model", path("odd.json")}, "kv_heads");
  write_file(
      path("huge.json"),
      R"({"name":"huge","dim":4611686018427387904,"hidden":48,"heads":4,"kv_heads":2,"head_dim":8,"seq":12,"layers":2,"vocab":64})");
  expect_bad_input({"validate", "--model", path("huge.json")}, "huge.json");
}

TEST_F(Cli, DoctorAsJsonNamesTheBackendAndNoPerson) {
  const ProcessResult result = run({"doctor", "--json"});
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.out, HasSubstr("\"backend\": \"emulator\""));
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  if (std::strlen(host) > 2) {
    EXPECT_THAT(result.out, Not(HasSubstr(host)));
  }
}

TEST_F(Cli, ValidateWritesRecordsThatReadBackAndTheirCasesReproduce) {
  const ProcessResult result =
      run({"validate", "--model", path("tiny.json"), "--out", path("v.csv"), "--machine-label", "testbed"});
  EXPECT_EQ(result.code, 0) << result.out << result.err;
  // 11 kernels, exact and random, seven with small gradients and eight with structured data too, and the layer.
  EXPECT_THAT(result.out, HasSubstr("PASSED: 38 cases"));
  const auto records = rows_of(path("v.csv"));
  ASSERT_GT(records.size(), 200u);
  std::set<std::string> cases;
  for (const Record& record : records) {
    EXPECT_EQ(record.run.backend, "emulator");
    EXPECT_EQ(record.run.profile, "h16");
    EXPECT_EQ(record.run.machine, "testbed");
    if (record.phase != "validate") continue;  // the process about itself and its arithmetic
    EXPECT_EQ(record.model, "tiny");
    if (record.metric == "output_hash") cases.insert(record.case_text);
  }
  EXPECT_EQ(cases.size(), 38u);
  const ProcessResult again = run({"validate", "--case", *cases.begin()});
  EXPECT_EQ(again.code, 0) << again.out << again.err;
  EXPECT_THAT(again.out, HasSubstr("PASSED: 1 cases"));
}

TEST_F(Cli, KernelsFollowTheCutOfTheVariant) {
  const std::string variant = "qkv_backward=merged;ffn=cpu_gate";
  const ProcessResult cut =
      run({"validate", "--model", path("tiny.json"), "--variant", variant, "--filter", "data=random;grad=1"});
  EXPECT_EQ(cut.code, 0) << cut.out << cut.err;
  for (const char* kernel : {"qkvBwd", "ffnUp ", "ffnDown", "layer"}) EXPECT_THAT(cut.out, HasSubstr(kernel));
  for (const char* kernel : {" qBwd ", " kvBwd ", " ffnFused "})
    EXPECT_THAT(cut.out, ::testing::Not(HasSubstr(kernel)));
  EXPECT_THAT(cut.out, HasSubstr("PASSED: 12 cases"));  // ten kernels, the generic matmul, the layer
  EXPECT_EQ(run({"validate", "--model", path("tiny.json"), "--case", "kernel=qkvBwd;seed=3"}).code, 0);
  for (const char* command : {"validate", "bench"}) {
    expect_bad_input({command, "--model", path("tiny.json"), "--kernel", "ffnUp"}, "ffn=cpu_gate has it");
    expect_bad_input({command, "--model", path("tiny.json"), "--kernel", "qBwd", "--variant", variant},
                     "is in no layer of variant qkv_backward=merged;ffn=cpu_gate");
  }
}

TEST_F(Cli, AFilterChoosesCasesByTheirKeys) {
  const ProcessResult one = run({"validate", "--model", path("tiny.json"), "--filter", "kernel=sdpaFwd;data=sinks"});
  EXPECT_EQ(one.code, 0) << one.out << one.err;
  EXPECT_THAT(one.out, HasSubstr("PASSED: 1 cases"));
  const ProcessResult full =
      run({"validate", "--model", path("tiny.json"), "--full", "--kernel", "qBwd", "--filter", "data=random"});
  EXPECT_THAT(full.out, HasSubstr("PASSED: 6 cases")) << full.out << full.err;

  const ProcessResult all = run({"list", "cases"}), some = run({"list", "cases", "--filter", "data=repeats;amp=1.0"});
  EXPECT_EQ(some.code, 0);
  std::size_t repeats = 0;
  for (std::size_t at = 0; (at = all.out.find(";data=repeats;", at)) != std::string::npos; ++at) ++repeats;
  EXPECT_EQ(repeats, 22u);  // 11 kernels, two presets
  EXPECT_EQ(static_cast<std::size_t>(std::count(some.out.begin(), some.out.end(), '\n')), repeats);
  EXPECT_THAT(all.out, HasSubstr(some.out.substr(0, some.out.find('\n') + 1)));
}

TEST_F(Cli, WorkersGiveTheSameHashesAsThisProcess) {
  const std::vector<std::string> base = {"validate", "--model", path("tiny.json"), "--kernel", "sdpaBwd1", "--out"};
  auto here = base, isolated = base;
  here.push_back(path("here.csv"));
  isolated.insert(isolated.end(), {path("isolated.csv"), "--isolate"});
  ASSERT_EQ(run(here).code, 0);
  const ProcessResult result = run(isolated);
  ASSERT_EQ(result.code, 0) << result.out << result.err;
  const auto hashes = [](const fs::path& file) {
    std::vector<std::string> all;
    for (const Record& record : rows_of(file))
      if (record.metric == "output_hash") all.push_back(record.text);
    return all;
  };
  EXPECT_EQ(hashes(path("here.csv")).size(), 4u);  // exact, random, random with small gradients, sinks
  EXPECT_EQ(hashes(path("here.csv")), hashes(path("isolated.csv")));
}

TEST_F(Cli, AnInterruptedRunKeepsTheRowsItHas) {
  // Seconds of work, minutes under a sanitizer; the shell ends the command after the first case.
  write_file(path("mid.json"), std::string_view(R"({"name": "mid", "dim": 256, "hidden": 384, "heads": 8, "kv_heads": 4,
                                                    "head_dim": 32, "seq": 64, "layers": 2, "vocab": 512})"));
  const std::string command = "" ANEVAL_BINARY " validate --full --model '" + path("mid.json") + "' --out '" +
                              path("part.csv") + "' > '" + path("log") + "' & pid=$!; while ! grep -q ok '" +
                              path("log") + "'; do sleep 0.05; done; kill -TERM $pid; wait $pid";
  const ProcessResult result = run_process({"/bin/sh", "-c", command}, std::chrono::minutes(2));
  ASSERT_EQ(result.code, 143) << result.describe() << '\n' << read_text_file(path("log"));
  const auto records = rows_of(path("part.csv"));
  EXPECT_GT(records.size(), 0u);
  EXPECT_THAT(read_text_file(path("log")), HasSubstr("INTERRUPTED after"));
}

TEST_F(Cli, TheCyclicForwardFailsAndSaysWhere) {
  const ProcessResult result =
      run({"validate", "--model", path("tiny.json"), "--kernel", "sdpaFwd", "--variant", "head_map=cyclic_fwd"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.out, HasSubstr("wrong_result"));
  EXPECT_THAT(result.out, HasSubstr("block attn"));
  EXPECT_THAT(result.out, HasSubstr("reproduce: aneval validate"));
  EXPECT_THAT(result.out, HasSubstr("FAILED: 3 cases"));
}

TEST_F(Cli, RunOnTheReferenceAndOnTheEmulatorAgreeToRounding) {
  write_tensors("in.safetensors", layer_shapes());
  for (const char* backend : {"reference", "emulator"})
    ASSERT_EQ(run({"run", "--op", "layer_backward", "--model", path("tiny.json"), "--backend", backend, "--tensors",
                   path("in.safetensors"), "--out", path(std::string(backend) + ".safetensors")})
                  .code,
              0);
  const StoredTensors expected = read_safetensors(path("reference.safetensors"));
  const StoredTensors got = read_safetensors(path("emulator.safetensors"));
  ASSERT_EQ(expected.size(), 11u);
  for (const auto& [name, tensor] : expected) {
    ASSERT_EQ(got.at(name).shape, tensor.shape) << name;
    std::vector<float> a(tensor.bytes.size() / 4), b(a.size());
    std::memcpy(a.data(), tensor.bytes.data(), tensor.bytes.size());
    std::memcpy(b.data(), got.at(name).bytes.data(), tensor.bytes.size());
    double error = 0, norm = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      error += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
      norm += std::pow(static_cast<double>(a[i]), 2);
    }
    // 24 roundings of 2^-11 added linearly, see validate/kernel_check_test.cpp.
    EXPECT_LE(std::sqrt(error / norm), 24 * 0x1p-11) << name;
  }
}

TEST_F(Cli, RunOfAKernelOnTheReferenceIsItsProductInFloats) {
  const NamedTensors in = write_tensors("in.safetensors", {{"attn", {32, 12}}, {"wo_t", {32, 32}}});
  ASSERT_EQ(run({"run", "--op", "woFwd", "--model", path("tiny.json"), "--backend", "reference", "--tensors",
                 path("in.safetensors"), "--out", path("o.safetensors")})
                .code,
            0);
  const StoredTensor o = read_safetensors(path("o.safetensors")).at("o");
  ASSERT_EQ(o.shape, (std::vector<std::int64_t>{32, 12}));
  std::vector<float> got(32 * 12);
  ASSERT_EQ(o.bytes.size(), got.size() * sizeof(float));
  std::memcpy(got.data(), o.bytes.data(), o.bytes.size());
  const auto &wo_t = in.at("wo_t").data, &attn = in.at("attn").data;
  for (std::size_t d = 0; d < 32; ++d)
    for (std::size_t s = 0; s < 12; ++s) {
      double sum = 0, magnitude = 0;
      for (std::size_t q = 0; q < 32; ++q) {
        const double product = static_cast<double>(wo_t[q * 32 + d]) * static_cast<double>(attn[q * 12 + s]);
        sum += product;
        magnitude += std::abs(product);
      }
      // 32 products and sums in fp32 (Higham 2002, 3.1).
      ASSERT_NEAR(static_cast<double>(got[d * 12 + s]), sum, 1.01 * 33 * 0x1p-24 * magnitude) << d << ", " << s;
    }
}

TEST_F(Cli, RunNamesMissingMisshapenAndUnknownTensors) {
  auto shapes = layer_shapes();
  shapes.erase("wk");
  write_tensors("missing.safetensors", shapes);
  shapes["wk"] = {32, 16};
  write_tensors("turned.safetensors", shapes);
  const std::vector<std::string> base = {
      "run", "--model", path("tiny.json"), "--op", "layer_backward", "--out", path("o.safetensors"), "--tensors"};
  for (const auto& [file, text] : std::map<std::string, std::string>{
           {"missing.safetensors", "'wk'"}, {"turned.safetensors", "[32, 16]"}, {"absent.safetensors", "absent"}}) {
    auto arguments = base;
    arguments.push_back(path(file));
    expect_bad_input(arguments, text);
  }
  write_file(path("foreign.safetensors"), std::string_view("not a safetensors file at all"));
  auto arguments = base;
  arguments.push_back(path("foreign.safetensors"));
  expect_bad_input(arguments, "foreign.safetensors");
  EXPECT_FALSE(fs::exists(path("o.safetensors")));
  expect_bad_input({"run", "--op", "layer_backwards", "--model", path("tiny.json"), "--tensors",
                    path("turned.safetensors"), "--out", path("o.safetensors")},
                   "layer_backward");
}

TEST_F(Cli, StageEqualsAPackingDoneHere) {
  const NamedTensors tensors =
      write_tensors("in.safetensors", {{"xn", {32, 12}}, {"wq", {32, 32}}, {"wk", {16, 32}}, {"wv", {16, 32}}});
  ASSERT_EQ(run({"stage", "--kernel", "sdpaFwd", "--model", path("tiny.json"), "--tensors", path("in.safetensors"),
                 "--out", path("surface.bin")})
                .code,
            0);
  std::vector<ane::half_t> expected;
  for (std::int64_t d = 0; d < 32; ++d) {
    for (std::int64_t s = 0; s < 12; ++s)
      expected.push_back(ane::to_half(tensors.at("xn").data[static_cast<std::size_t>(d * 12 + s)]));
    for (const char* weight : {"wq", "wk", "wv"}) {
      const Tensor& w = tensors.at(weight);
      for (std::int64_t row = 0; row < w.rows(); ++row)
        expected.push_back(ane::to_half(w.data[static_cast<std::size_t>(row * 32 + d)]));
    }
  }
  const auto bytes = read_file(path("surface.bin"));
  ASSERT_EQ(bytes.size(), expected.size() * 2);
  EXPECT_EQ(std::memcmp(bytes.data(), expected.data(), bytes.size()), 0);
}

TEST_F(Cli, RealDataWithoutATrainedModelStillNamesWhatIsWrong) {
  write_file(path("short.bin"), std::string_view("abc"));
  expect_bad_input({"validate", "--weights", path("short.bin"), "--tokenizer", path("short.bin"), "--text", "a"},
                   "short.bin");
  expect_bad_input({"validate", "--weights", path("none.bin"), "--tokenizer", path("short.bin"), "--text", "a"},
                   "none.bin");
}

double loss_of(const std::string& out) {
  const std::string label = "reference loss: ";
  EXPECT_THAT(out, HasSubstr(label));
  return std::stod(out.substr(out.find(label) + label.size()));
}

TEST_F(Cli, TheProjectsOwnCheckpointReadsBytes) {
  const std::string weights = "data/small-gqa.safetensors";
  const ProcessResult result = run({"validate", "--weights", weights, "--loss-scale", "256", "--text",
                                    "the quiet girls that the old king helps often wait by the sea. a"});
  EXPECT_EQ(result.code, 0) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("PASSED: 22 cases"));  // two layers of ten kernels and the layer itself
  // What it was trained to (data/README.md); another order of summation changes the sixth digit.
  EXPECT_NEAR(loss_of(result.out), 0.6796, 0.001);
  expect_bad_input({"validate", "--weights", weights, "--text", "THE KING"}, "no row for token 84");
}

class TrainedModel : public Cli {
 protected:
  void SetUp() override {
    Cli::SetUp();
    const char* data = std::getenv("ANEVAL_DATA");
    if (data == nullptr || !fs::exists(fs::path(data) / "stories260K.bin"))
      GTEST_SKIP() << "ANEVAL_DATA names no folder with stories260K.bin and tok512.bin";
    weights_ = (fs::path(data) / "stories260K.bin").string();
    tokenizer_ = (fs::path(data) / "tok512.bin").string();
  }
  ProcessResult validate(const std::string& text) {
    return run({"validate", "--weights", weights_, "--tokenizer", tokenizer_, "--text", text});
  }
  std::string weights_, tokenizer_;
};

TEST_F(TrainedModel, EveryKernelOfEveryLayerPassesOnRealActivations) {
  const ProcessResult result = validate("Once upon a time, there was a little girl named Lily. She loved to play.");
  EXPECT_EQ(result.code, 0) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("PASSED: 55 cases"));  // five layers of ten kernels and the layer itself
  const double loss = loss_of(result.out);
  EXPECT_GT(loss, 0.05);
  EXPECT_LT(loss, 1.6);
}

TEST_F(TrainedModel, OtherEnglishIsLessLikelyButBetterThanChance) {
  const double loss = loss_of(validate("The committee adjourned pending further review of quarterly fiscal data.").out);
  EXPECT_GT(loss, 2.5);
  EXPECT_LT(loss, 6.24);  // ln 512
}

TEST_F(TrainedModel, ATextLongerThanTheModelsSequenceIsRefused) {
  std::string text;
  for (int i = 0; i < 600; ++i) text += " word";
  const ProcessResult result = validate(text);
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, HasSubstr("512"));
}

}  // namespace
}  // namespace aneval
