// `aneval mil check`: files with and without a family, the catalogue, the lengths, and bad input.
#include "cli/cli_fixture.h"
#include "common/names.h"

namespace aneval {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class MilCheck : public Cli {
 protected:
  static ProcessResult check(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"mil", "check"});
    return run(arguments);
  }
  static std::vector<std::string> lines(const std::string& text) {
    std::vector<std::string> all = split(text, '\n');
    if (!all.empty() && all.back().empty()) all.pop_back();
    return all;
  }
  std::string emit(const std::string& kernel, const std::string& model, const std::string& dialect,
                   std::vector<std::string> more = {}) {
    const std::string file = path(kernel + "-" + dialect + ".mil");
    std::vector<std::string> arguments = {"mil", "emit",      "--kernel", kernel,  "--model",
                                          model, "--dialect", dialect,    "--out", file};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const ProcessResult result = run(arguments);
    EXPECT_EQ(result.code, 0) << result.err;
    return file;
  }
  std::string write(const std::string& text) {
    write_file(path("f.mil"), text);
    return path("f.mil");
  }
};

TEST_F(MilCheck, WithoutAFamilyNothingOfFamiliesIsSaid) {
  const std::string file = emit("sdpaFwd", "Stories110M", "modern");
  const ProcessResult result = check({file});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out, "");
}

TEST_F(MilCheck, AFamilyAddsItsFindingsWithTheirPlaces) {
  const std::string file = emit("sdpaFwd", "Stories110M", "legacy");
  const ProcessResult result = check({file, "--family", "h13"});
  EXPECT_EQ(result.code, 0) << result.out;
  int last = 0;
  for (const std::string& line : lines(result.out)) {
    ASSERT_EQ(line.find(file + ":"), 0u) << line;
    const auto parts = split(line.substr(file.size() + 1), ':');
    ASSERT_GE(parts.size(), 4u) << line;
    EXPECT_GE(std::stoi(parts[0]), last) << "not sorted: " << line;
    last = std::stoi(parts[0]);
    EXPECT_EQ(parts[2], " warning") << line;
    EXPECT_THAT(line, ::testing::MatchesRegex(".* \\[[a-z0-9-]+\\]"));
  }
  EXPECT_THAT(result.out, HasSubstr("slice_by_size 'wq_t': begins at 256 of the last axis: of its 589824 values, those "
                                    "beyond ±4094 become infinite"));
  EXPECT_THAT(result.out, HasSubstr("moves 32 times its data"));
}

TEST_F(MilCheck, ASequenceBeyondTheCapsIsAnErrorThatNamesOperationLineAndLimit) {
  const std::string file = emit("sdpaFwd", "Qwen3-0.6B", "modern", {"--seq", "288"});
  const std::string text =
      "reshape 'q_pairs': a height of 18432 in [1, 16, 18432, 2] exceeds the 16384 that h15 (M3) "
      "takes [height-cap]";
  const ProcessResult result = check({file, "--family", "h15"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.out, ::testing::ContainsRegex(":[0-9]+:[0-9]+: error: reshape 'q_pairs'"));
  EXPECT_THAT(result.out, HasSubstr(text));
  EXPECT_EQ(check({file, "--family", "h16"}).code, 0);
  EXPECT_EQ(check({file}).code, 0);
}

TEST_F(MilCheck, TheModernDialectIsAnErrorOnM1AndM2Only) {
  const std::string file = emit("woFwd", "Stories110M", "modern");
  for (const char* family : {"h13", "h14"}) {
    const ProcessResult result = check({file, "--family", family});
    EXPECT_EQ(result.code, 1) << family;
    EXPECT_THAT(result.out, HasSubstr("error: function 'main': program(1.3) and ios18 are refused")) << family;
    EXPECT_EQ(check({emit("woFwd", "Stories110M", "legacy"), "--family", family}).code, 0) << family;
  }
  for (const char* family : {"h15", "h16", "h17", "h18"})
    EXPECT_EQ(check({file, "--family", family}).code, 0) << family;
}

TEST_F(MilCheck, AnUnknownOperationKeepsItsFindingAndGetsTheReason) {
  const std::string file = write(
      "program(1.3) { func main<ios18>(tensor<fp16, [1, 64, 1, 64]> a) {\n"
      "tensor<fp16, [1, 64, 1, 128]> b = tile(x = a)[];\n} -> (b); }");
  const ProcessResult general = check({file}), family = check({file, "--family", "h15"});
  EXPECT_EQ(general.code, 1);
  ASSERT_EQ(lines(general.out).size(), 1u);
  ASSERT_EQ(lines(family.out).size(), 2u) << family.out;
  EXPECT_EQ(lines(family.out)[0], lines(general.out)[0]);
  EXPECT_THAT(lines(family.out)[1], HasSubstr("f.mil:2:1: error: tile 'b': every later evaluation"));
}

TEST_F(MilCheck, WeightsAreStillCheckedWhereTheyAre) {
  const std::string file = emit("sdpaFwd", path("tiny.json"), "modern");
  const std::string folder = folder_.string();
  EXPECT_EQ(check({file, "--weights-dir", folder}).out, "");
  auto bytes = read_file(path("weights/rope_cos.bin"));
  bytes[64] = std::byte{0};  // the sentinel of its metadata
  write_file(path("weights/rope_cos.bin"), bytes);
  const ProcessResult result = check({file, "--family", "h16", "--weights-dir", folder});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(lines(result.out)[0], HasSubstr("[bad-blob]"));
  EXPECT_THAT(check({file, "--family", "h16"}).out, Not(HasSubstr("[bad-blob]")));
}

TEST_F(MilCheck, TheCatalogueIsTheSameInBothPlaces) {
  const ProcessResult list = check({"--list"});
  EXPECT_EQ(list.code, 0);
  EXPECT_EQ(list.out, run({"list", "checks"}).out);
  EXPECT_THAT(list.out, ::testing::ContainsRegex("type-mismatch +error +any program"));
  EXPECT_THAT(list.out, ::testing::ContainsRegex("slice-begin +warning +h13 h14 \\(unmeasured: h15\\) +wrong data +a "
                                                 "slice that begins .* <ANEForge numeric-cliffs"));
  for (const std::string& line : lines(list.out)) EXPECT_GT(line.size(), 60u) << line;
}

TEST_F(MilCheck, OneFamilysCatalogueHasItsSeverities) {
  const std::string h16 = check({"--list", "--family", "h16"}).out, h13 = check({"--list", "--family", "h13"}).out;
  EXPECT_THAT(h16, Not(HasSubstr("slice-begin")));
  EXPECT_THAT(h13, HasSubstr("slice-begin"));
  EXPECT_THAT(h13, ::testing::ContainsRegex("contraction-multiple +error"));
  EXPECT_THAT(h16, ::testing::ContainsRegex("contraction-multiple +warning"));
  EXPECT_THAT(h16, HasSubstr("type-mismatch"));
}

TEST_F(MilCheck, LimitsOfThePresetsAreTheOnesWorkedOutByHand) {
  const struct {
    std::string model, family, smallest;
  } cases[] = {{"Qwen3-0.6B", "h13", "h13  smallest       256 \\(256\\) +sdpaFwd \\[height-cap\\]"},
               {"Qwen3-0.6B", "h16", "h16  smallest      1024 \\(1024\\) +sdpaFwd \\[height-cap\\]"},
               {"Stories110M", "h15", "h15  smallest       512 \\(512\\) +sdpaFwd \\[height-cap\\]"},
               {"Stories110M", "h18", "h18  smallest      2048 \\(2048\\) +sdpaFwd \\[height-cap\\]"}};
  for (const auto& each : cases) {
    const ProcessResult result = check({"--limits", "--model", each.model, "--family", each.family});
    EXPECT_EQ(result.code, 0) << result.err;
    ASSERT_EQ(lines(result.out).size(), 12u) << result.out;  // a title, ten kernels, the smallest
    EXPECT_THAT(lines(result.out).back(), ::testing::MatchesRegex(each.smallest));
  }
  const std::string stories = check({"--limits", "--model", "Stories110M", "--family", "h16"}).out;
  EXPECT_THAT(stories, ::testing::ContainsRegex("h16  sdpaBwd2      2666 \\(2656\\)   S = 2667: input 'x': a channel "
                                                "axis of 65544 .* exceeds the 65536 .* \\[channel-cap\\]"));
}

TEST_F(MilCheck, LimitsTakeEveryFamilyAndAVariantAndAnyModel) {
  const ProcessResult all = check({"--limits"});
  EXPECT_EQ(all.code, 0);
  EXPECT_EQ(lines(all.out).size(), 1u + 6 * 11);
  EXPECT_THAT(all.out, ::testing::StartsWith("Qwen3-0.6B, variant default: "));
  // Widths of 48 are no multiple of 32: usable with padding only.
  const std::vector<std::string> tiny = {"--limits", "--model", path("tiny.json"), "--family", "h16"};
  EXPECT_THAT(check(tiny).out, ::testing::ContainsRegex("ffnBwdW2t +65488 \\(-\\)"));
  auto padded = tiny;
  padded.insert(padded.end(), {"--variant", "pad=32"});
  EXPECT_THAT(check(padded).out, ::testing::ContainsRegex("ffnBwdW2t +65472 \\(65472\\)"));
}

TEST_F(MilCheck, TheDocumentedLimitsAreWhatTheCommandPrints) {
  const std::string text = read_text_file(ANEVAL_DOCS "/mil_checks.md"), prompt = "```\n$ aneval ";
  int blocks = 0;
  for (std::size_t at = text.find(prompt); at != std::string::npos; at = text.find(prompt, at + 1), ++blocks) {
    const std::size_t command = at + prompt.size(), end = text.find('\n', command);
    const std::string line = text.substr(command, end - command);
    EXPECT_EQ(run(split(line, ' ')).out, text.substr(end + 1, text.find("```", end) - end - 1)) << line;
  }
  EXPECT_EQ(blocks, 4);
}

TEST_F(MilCheck, WrongQuestionsAreOneLine) {
  expect_bad_input({"mil", "check"}, "give FILE, or --list, or --limits");
  const std::string file = emit("woFwd", path("tiny.json"), "modern");
  expect_bad_input({"mil", "check", file, "--limits"}, "three different questions");
  expect_bad_input({"mil", "check", file, "--list"}, "three different questions");
  expect_bad_input({"mil", "check", "--list", "--limits"}, "three different questions");
  expect_bad_input({"mil", "check", file, "--family", "h12"}, "family 'h12': unknown: did you mean 'h13'?");
  expect_bad_input({"mil", "check", path("nowhere.mil"), "--family", "h19"}, "family 'h19'");
  expect_bad_input({"mil", "check", "--limits", "--family", "m1"}, "known: h13, h14, h15, h16, h17, h18");
  expect_bad_input({"mil", "check", "--list", "--family", "h1"}, "family 'h1'");
  expect_bad_input({"mil", "check", "--limits", "--model", "Qwen"}, "model 'Qwen'");
  expect_bad_input({"mil", "check", "--limits", "--variant", "pad=31"}, "pad");
  expect_bad_input({"mil", "check", file, "--model", "Qwen3-0.6B"}, "belong to --limits");
  expect_bad_input({"mil", "check", "--list", "--variant", "pad=32"}, "belong to --limits");
  expect_bad_input({"mil", "check", "--limits", "--weights-dir", folder_.string()}, "there is no FILE");
  expect_bad_input({"mil", "check", path("nowhere.mil"), "--family", "h13"}, "nowhere.mil");
  expect_bad_input({"mil", "check", write("program(1.3) {"), "--family", "h13"}, "f.mil:1:");
}

}  // namespace
}  // namespace aneval
