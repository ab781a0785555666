#include "reports/exports.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "common/csv.h"
#include "common/error.h"
#include "common/names.h"
#include "common/test_support.h"

namespace aneval::reports {
namespace {

using testing::HasSubstr;
using testing::Not;

Record chain(const std::string& text, double ns) {
  Record row;
  row.run = {
      .time_utc = "2026-11-28T12:00:00Z", .commit = "abc", .chip = "Apple M4 Max", .os = "macOS 26.3.1 (25D2128)"};
  row.run.backend = "apple";
  row.run.profile = "h16";
  row.phase = "engine";
  row.item = "conv_chain";
  row.case_text = text;
  row.metric = "time";
  row.unit = "ns";
  row.value = ns;
  return row;
}

TEST(Community, HasTheShapeThatTheDashboardCollects) {
  ResultSet set;
  set.environments = {R"({"chip": "Apple M4 Max", "processors": 16, "memory_gib": 127.9})"};
  set.add(chain("channels=1024;depth=1;spatial=64", 133000));
  set.add(chain("channels=512;depth=128;spatial=64", 385000));
  Record failed = chain("channels=8192;depth=1;spatial=32", 1);
  failed.status = Status::compile_error;
  failed.reason = "refused";
  failed.value.reset();
  set.add(failed);
  Record step = chain("kernel=layer", 72.4e6);
  step.phase = "train_step";
  step.item.clear();
  step.kernel = "layer";
  step.model = "Stories110M";
  step.seq = 256;
  set.add(step);
  const auto json = nlohmann::json::parse(to_community(set));
  EXPECT_EQ(json.at("schema_version"), 1);
  EXPECT_FALSE(json.contains("username"));
  EXPECT_EQ(json.at("timestamp"), "2026-11-28T12:00:00Z");
  EXPECT_EQ(json.at("system").at("chip"), "Apple M4 Max");
  EXPECT_EQ(json.at("system").at("macos_version"), "26.3.1");
  EXPECT_EQ(json.at("system").at("macos_build"), "25D2128");
  EXPECT_EQ(json.at("system").at("cpu_cores"), 16);
  EXPECT_EQ(json.at("system").at("memory_gb"), 128);
  ASSERT_EQ(json.at("benchmarks").at("sram_probe").size(), 1U);  // what failed is no time
  // 2·1024·1024·64 operations in 0.133 ms, 2 MiB of weights: what the community's own files have for these.
  EXPECT_EQ(json.at("benchmarks").at("sram_probe")[0], nlohmann::json({{"channels", 1024},
                                                                       {"weight_mb", 2.0},
                                                                       {"ms_per_eval", 0.133},
                                                                       {"tflops", 1.01},
                                                                       {"gflops_per_mb", 504.6}}));
  EXPECT_EQ(json.at("benchmarks").at("inmem_peak")[0], nlohmann::json({{"depth", 128},
                                                                       {"channels", 512},
                                                                       {"spatial", 64},
                                                                       {"weight_mb", 64.0},
                                                                       {"gflops", 4.29},
                                                                       {"ms_per_eval", 0.385},
                                                                       {"tflops", 11.16}}));
  EXPECT_EQ(json.at("benchmarks").at("training_cpu_classifier").at("ms_per_step"), 72.4);
  EXPECT_EQ(json.at("summary").at("peak_tflops"), 11.16);
  EXPECT_EQ(nlohmann::json::parse(to_community(set, {.username = "me"})).at("username"), "me");
}

TEST(Community, AnEmulatorIsNoChip) {
  ResultSet set;
  Record row = chain("channels=1024;depth=1;spatial=64", 133000);
  row.run.backend = "emulator";
  row.run.chip = "CPU 9";
  set.add(row);
  const auto json = nlohmann::json::parse(to_community(set));
  EXPECT_EQ(json.at("system").at("chip"), "emulator profile h16 on CPU 9");
  EXPECT_EQ(json.at("system").at("not_an_engine"), true);
}

TEST(Community, ASubmissionIsOfOneSetting) {
  ResultSet set;
  EXPECT_THAT(std::string(error_of([&] { to_community(set); }).what()),
              HasSubstr("nothing that the community's dashboard"));
  Record row = chain("channels=1024;depth=1;spatial=64", 133000);
  set.add(row);
  row.run.profile = "h13";
  set.add(row);
  EXPECT_THAT(std::string(error_of([&] { to_community(set); }).what()),
              HasSubstr("apple profile h13; apple profile h16"));
}

TEST(WideCsv, HasAColumnPerMetricAndMedians) {
  ResultSet set;
  for (const double ns : {3.0, 1.0, 2.0}) set.add(chain("channels=1", ns));
  Record other = chain("channels=1", 0.25);
  other.metric = "tflops";
  other.unit = "TFLOP/s";
  set.add(other);
  other.metric = "output_hash";
  other.unit.clear();
  other.value.reset();
  other.text = "ab,cd";
  other.case_text = "channels=2";
  set.add(other);
  const auto lines = split(to_wide_csv(set), '\n');
  ASSERT_EQ(lines.size(), 4U);  // and an empty one
  EXPECT_TRUE(lines[0].ends_with(",status,reason,samples,output_hash,tflops (TFLOP/s),time (ns)")) << lines[0];
  EXPECT_TRUE(lines[1].ends_with(",channels=1,conv_chain,engine,ok,,3,,0.25,2")) << lines[1];
  EXPECT_TRUE(lines[2].ends_with(",channels=2,conv_chain,engine,ok,,0,\"ab,cd\",,")) << lines[2];
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(csv_fields(lines[i])->size(), 21U);
}

TEST(WideCsv, NoTextIsAFormula) {
  ResultSet set;
  Record row = chain("=HYPERLINK(\"http://x\")", 1);
  row.item = "+1";
  set.add(row);
  const std::string csv = to_wide_csv(set);
  EXPECT_THAT(csv, HasSubstr(",\"'=HYPERLINK(\"\"http://x\"\")\",'+1,"));
  EXPECT_THAT(csv, Not(HasSubstr(",=")));
}

}  // namespace
}  // namespace aneval::reports
