// What the harness adds by itself: clock readings, reading of result files, heads copied and summed on the CPU.
#include <benchmark/benchmark.h>
#include <csv.h>  // fast-cpp-csv-parser

#include <array>
#include <chrono>
#include <utility>

#include "ane/gqa.h"
#include "bench/ratios.h"
#include "common/csv.h"
#include "common/random.h"
#include "common/stopwatch.h"
#include "common/vocabulary.h"

namespace aneval::bench {
namespace {

Subject stopwatch() {
  Subject subject;
  subject.run = [] {
    const Stopwatch watch;
    benchmark::DoNotOptimize(watch.ns());
  };
  subject.yardstick = [] { benchmark::DoNotOptimize(std::chrono::steady_clock::now()); };
  subject.batch = 10000;
  return subject;
}

/// Rows as a run writes them: a dozen metrics of a few hundred cases.
std::string result_rows() {
  std::string text = csv_header();
  Random random(1);
  Record row;
  row.run = {.run_id = "20261125T000000-1",
             .time_utc = "2026-11-25T00:00:00Z",
             .commit = "0123456789ab",
             .build = "release-gcc12-avx512",
             .machine = "machine-1",
             .chip = "AMD EPYC",
             .family = "",
             .os = "Linux 6.1",
             .backend = "emulator",
             .profile = "h16"};
  row.model = "Qwen3-0.6B";
  row.seq = 256;
  row.kernel = "sdpaFwd";
  row.phase = "validate";
  for (int i = 0; i < 2000; ++i) {
    row.case_text = "kernel=sdpaFwd;model=Qwen3-0.6B;seq=256;data=random;seed=" + std::to_string(i);
    for (const char* metric : {"max_abs", "rms", "nmse", "snr_db", "cosine", "max_ulp", "p99_ulp", "bound_ratio",
                               "deviation_ratio", "error_spread"}) {
      row.item = i % 2 == 0 ? "attn" : "q_rope";
      text += csv_line(fact(row, metric, random.uniform()));
    }
  }
  return text;
}

template <std::size_t... I>
std::size_t bare_rows(const std::string& text, std::index_sequence<I...>) {
  // The parser of csv_read.cpp without anything on top: fields stay where they are.
  io::CSVReader<sizeof...(I), io::trim_chars<>, io::double_quote_escape<',', '"'>> parser("", text.data(),
                                                                                          text.data() + text.size());
  parser.read_header(io::ignore_extra_column, std::string(kRecordColumns[I])...);
  std::array<char*, sizeof...(I)> fields{};
  std::size_t rows = 0;
  while (parser.read_row(fields[I]...)) ++rows;
  return rows;
}

Subject csv_reading() {
  const auto text = std::make_shared<const std::string>(result_rows());
  const auto rows = std::make_shared<std::pair<std::size_t, std::size_t>>();
  Subject subject;
  subject.run = [text, rows] {
    rows->first = 0;
    visit_csv_text(*text, "rows", [&](const Record&) { ++rows->first; });
  };
  subject.yardstick = [text, rows] {
    rows->second = bare_rows(*text, std::make_index_sequence<kRecordColumns.size()>());
  };
  subject.finished = [rows] {
    if (rows->first != rows->second)
      throw Error(ExitCode::check_failed, "rows", "read by one way and not by the other", "run common_test");
  };
  subject.work.moved_bytes = static_cast<double>(text->size());
  return subject;
}

/// Between query heads and key/value heads: memcpy of what the larger side holds.
Subject heads(const ModelShape& shape, bool tile) {
  struct Buffers {
    std::vector<float> full, kv;
  };
  const auto buffers = std::make_shared<Buffers>();
  buffers->full.resize(static_cast<std::size_t>(shape.q_dim() * shape.seq));
  buffers->kv.resize(static_cast<std::size_t>(shape.kv_dim() * shape.seq));
  Random(1).fill_normal(buffers->full, 1.0);
  Random(2).fill_normal(buffers->kv, 1.0);
  Subject subject;
  if (tile)
    subject.run = [buffers, shape] { ane::tile_kv(shape, ane::HeadMap::grouped, buffers->kv, buffers->full); };
  else
    subject.run = [buffers, shape] { ane::reduce_kv(shape, ane::HeadMap::grouped, buffers->full, buffers->kv); };
  subject.yardstick = rotating_memcpy(4 * shape.q_dim() * shape.seq, 1);
  return subject;
}

}  // namespace

std::vector<Benchmark> overhead_ratios(const SuiteOptions&) {
  const ModelShape shape = load_model_shape("Qwen3-0.6B");
  return {
      ratio_benchmark("stopwatch", at_most(2.5, "one reading of the steady clock"), stopwatch),
      ratio_benchmark("csv", at_least(0.6, "the bare parser on the same rows"), csv_reading),
      ratio_benchmark("tile_kv", at_least(0.9, "memcpy of what it writes"), [shape] { return heads(shape, true); }),
      ratio_benchmark("reduce_kv", at_least(0.9, "memcpy of what it reads"), [shape] { return heads(shape, false); }),
  };
}

}  // namespace aneval::bench
