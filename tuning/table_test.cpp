// The tuning table: files in both directions, what answers a question, what is stale, exports, predictions.
#include "tuning/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/files.h"
#include "tuning/cost_model.h"
#include "tuning/export.h"
#include "tuning/plan.h"

namespace aneval::tuning {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Entry entry(const std::string& chip, const std::string& family, std::int64_t seq,
            const std::string& knobs = "row_sum=matmul") {
  Point point;
  find_parameter("kernel").set(point, "sdpaBwd2");
  find_parameter("model").set(point, "Qwen3-0.6B");
  find_parameter("seq").set(point, std::to_string(seq));
  Entry e;
  e.chip = chip, e.family = family, e.os = "macOS 26.3", e.backend = "apple";
  e.kernel = "sdpaBwd2", e.context = context_text(point), e.knobs = knobs;
  e.program = program_identity(plan_kernel(e.point(), e.kernel));
  e.time_ns = 1e5 + 0.125, e.default_ns = 2e5, e.gain = 0.5, e.p = 1e-4, e.verdict = Verdict::faster;
  return e;
}

Question question(const std::string& chip, const std::string& family, std::int64_t seq) {
  Question q{chip, family, "macOS 26.3", "apple", entry(chip, family, seq).point()};
  return q;
}

TEST(Table, ReadsBackWhatItWrote) {
  const auto file = std::filesystem::temp_directory_path() / ("aneval-table-" + std::to_string(::getpid()) + ".csv");
  Entry strange = entry("Apple \"M4\", Max", "h16", 256);
  const std::vector<Entry> entries = {strange, entry("Apple M1", "h13", 128, "default")};
  write_table(file, entries);
  const std::vector<Entry> read = read_table(file);
  EXPECT_EQ(table_text(read), table_text(entries));
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[0].chip, strange.chip);
  EXPECT_EQ(read[0].time_ns, strange.time_ns);
  EXPECT_EQ(read[0].point().c.variant.row_sum, ane::RowSum::matmul);
  const auto error_with = [&](const std::string& text) -> std::string {
    write_file(file, text);
    try {
      (void)read_table(file);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  const std::string good = table_text(entries);
  EXPECT_THAT(error_with(""), HasSubstr("is empty"));
  EXPECT_THAT(error_with("a,b\n"), HasSubstr("has no column 'chip'"));
  EXPECT_THAT(error_with(good + "x,y\n"), AllOf(HasSubstr(":4"), HasSubstr("2 fields")));
  std::string wrong = good;
  wrong.replace(wrong.find("row_sum=matmul"), 14, "row_sum=matmull");
  EXPECT_THAT(error_with(wrong), AllOf(HasSubstr(":2"), HasSubstr("matmull")));
  wrong = good;
  wrong.replace(wrong.find(",faster,"), 8, ",fastest,");
  EXPECT_THAT(error_with(wrong), AllOf(HasSubstr("verdict"), HasSubstr("faster")));
  std::filesystem::remove(file);
}

TEST(LookUp, GoesFromExactToNearestToFamilyToDefault) {
  const std::vector<Entry> entries = {entry("M4", "h16", 256), entry("M4", "h16", 128), entry("M4 Max", "h16", 64)};
  const auto ask = [&](const char* chip, const char* family, std::int64_t seq) {
    return look_up(entries, question(chip, family, seq), false);
  };
  EXPECT_EQ(ask("M4", "h16", 256).how, Answer::How::exact);
  EXPECT_EQ(ask("M4", "h16", 256).entry, &entries[0]);
  EXPECT_EQ(ask("M4", "h16", 160).how, Answer::How::nearest_shape);
  EXPECT_EQ(ask("M4", "h16", 160).entry, &entries[1]);
  EXPECT_EQ(ask("M4", "h16", 64).entry, &entries[1]);  // its own chip before a nearer size of another
  EXPECT_EQ(ask("M4 Pro", "h16", 64).how, Answer::How::family);
  EXPECT_EQ(ask("M4 Pro", "h16", 64).entry, &entries[2]);
  EXPECT_EQ(ask("M1", "h13", 256).how, Answer::How::fallback);
  EXPECT_EQ(ask("M1", "h13", 256).entry, nullptr);
  Question emulated = question("M4", "h16", 256);
  emulated.backend = "emulator";
  EXPECT_EQ(look_up(entries, emulated, false).entry, nullptr);  // no other backend's times
}

TEST(LookUp, StaleEntriesAnswerOnlyWhenAllowed) {
  std::vector<Entry> entries = {entry("M4", "h16", 256)};
  Question q = question("M4", "h16", 256);
  q.os = "macOS 26.4";
  EXPECT_EQ(look_up(entries, q, false).entry, nullptr);
  EXPECT_EQ(look_up(entries, q, true).entry, &entries[0]);
  EXPECT_THAT(look_up(entries, q, true).stale, HasSubstr("measured on macOS 26.3"));
  entries[0].program = "of last year";
  q.os = "macOS 26.3";
  EXPECT_EQ(look_up(entries, q, false).entry, nullptr);
  EXPECT_THAT(staleness(entries[0], ""), HasSubstr("another program"));
}

TEST(Export, JsonHasKnobsByName) {
  const auto json = nlohmann::json::parse(json_text({entry("M4", "h16", 256)}));
  EXPECT_EQ(json.at("schema"), 1);
  const auto& e = json.at("entries").at(0);
  EXPECT_EQ(e.at("knobs").at("row_sum"), "matmul");
  EXPECT_EQ(e.at("seq"), 256);
  EXPECT_EQ(e.at("verdict"), "faster");
}

TEST(Export, HeaderRefusesWhatItCannotTellApart) {
  Entry h13 = entry("Xeon", "", 256), h16 = h13;
  h13.backend = h16.backend = "emulator";
  h13.profile = "h13", h16.profile = "h16";
  EXPECT_THROW((void)header_text({h13, h16}), Error);
  EXPECT_THAT(header_text({h13}), HasSubstr("\"row_sum=matmul\""));
}

TEST(CostModel, EveryFamilyHasFiguresWithTheirSources) {
  for (const mil::Family& family : mil::families()) {
    const CostModel model = cost_model(family.name);
    EXPECT_GT(model.dispatch_ns, 1e4) << family.name;
    EXPECT_LT(model.dispatch_ns, 1e6) << family.name;
    EXPECT_GT(model.flops_per_ns, 1e3) << family.name;
    EXPECT_GT(model.working_set_bytes, 1e6) << family.name;
  }
  for (const Figure& figure : cost_figures()) {
    EXPECT_GT(figure.source.size(), 10u) << figure.family << ' ' << figure.figure;
    EXPECT_LE(figure.low, figure.value);
    EXPECT_GE(figure.high, figure.value);
  }
  EXPECT_THROW((void)cost_model("h12"), Error);
}

TEST(CostModel, IsADispatchAndTheLongerOfComputingAndMoving) {
  const CostModel model{"h16", "M4", 1000, 10, 4, 2, 1e6};
  EXPECT_DOUBLE_EQ(predict(model, {.flops = 1e5}), 1000 + 1e4);
  EXPECT_DOUBLE_EQ(predict(model, {.flops = 1e3, .input_bytes = 1000, .output_bytes = 1000, .constant_bytes = 400}),
                   1000 + 1000 + 100);
  EXPECT_DOUBLE_EQ(predict(model, {.flops = 1e5, .input_bytes = 2e6}), 1000 + 2 * 1e6);  // beyond the working set
}

// How wrong it is, against everything that is published with a shape. The bound is what docs/tuning.md says.
TEST(CostModel, IsWithinAFactorOfTwoOfPublishedLatencies) {
  double worst = 1;
  for (const PublishedLatency& latency : compare_with_published()) {
    const double ratio = latency.predicted_ms / latency.published_ms;
    worst = std::max({worst, ratio, 1 / ratio});
  }
  EXPECT_LE(worst, 2);
  EXPECT_GE(compare_with_published().size(), 13u);
}

TEST(CostModel, PredictionsSayThatTheyAre) {
  Point point;
  find_parameter("kernel").set(point, "layer");
  find_parameter("model").set(point, "Qwen3-0.6B");
  const PointResult layer = predict_point(cost_model("h16"), point, {});
  EXPECT_EQ(layer.rows.size(), 10u);
  double sum = 0;
  for (const Record& row : layer.rows) {
    EXPECT_EQ(row.run.backend, "predicted");
    sum += row.value.value();
  }
  EXPECT_DOUBLE_EQ(layer.time_ns, sum);
  point.c.variant.wo = ane::OutputProjection::fused;
  EXPECT_LT(predict_point(cost_model("h16"), point, {}).time_ns, layer.time_ns);  // a dispatch less
}

}  // namespace
}  // namespace aneval::tuning
