// Made-up results and histories on disk, for tests.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "common/csv.h"
#include "common/files.h"
#include "common/random.h"
#include "common/test_support.h"

namespace aneval::gate {

/// Run `number` of machine m1, an hour after the one before.
inline RunContext run_context(int number) {
  RunContext run;
  run.run_id = fmt::format("run{}", number);
  run.time_utc = fmt::format("2026-{:02}-{:02}T{:02}:00:00Z", 1 + number / 24 / 28, 1 + number / 24 % 28, number % 24);
  run.commit = fmt::format("{:07x}", 0xabc0000 + number);
  run.build = "release-gcc12-avx512";
  run.machine = "m1";
  run.chip = "Apple M4";
  run.os = "macOS 26.3.1";
  run.backend = "apple";
  run.profile = "h16";
  return run;
}

inline Record row(const RunContext& run, const std::string& kernel, const std::string& phase, const std::string& metric,
                  std::optional<double> value, const std::string& text = {}) {
  Record r;
  r.run = run;
  r.model = "tiny";
  r.seq = 12;
  r.kernel = kernel;
  r.case_text = kernel.empty() ? "" : "kernel=" + kernel + ";model=tiny";
  r.phase = phase;
  r.metric = metric;
  r.unit = metric == "time" ? "ns" : "count";
  r.value = value;
  r.text = text;
  return r;
}

/// A result file of these rows.
inline std::string file_of(const std::vector<Record>& rows) {
  std::string text = csv_header();
  for (const Record& r : rows) text += csv_line(r);
  return text;
}

}  // namespace aneval::gate
