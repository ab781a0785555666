// Rows of made-up results, for the tests of the gate. No part of the library.
#pragma once

#include <string>
#include <vector>

#include "common/csv.h"
#include "common/files.h"
#include "common/test_support.h"
#include "reports/gate/samples.h"

namespace aneval::gate {

inline Record result_row(const std::string& kernel, const std::string& phase, const std::string& metric) {
  Record row;
  row.run = {.run_id = "run",
             .commit = "c0",
             .build = "release-gcc12-avx2",
             .machine = "m",
             .chip = "Apple M4",
             .os = "macOS 26.3.1 (25D2128)",
             .backend = "emulator",
             .profile = "h16"};
  row.model = "tiny";
  row.seq = 12;
  row.kernel = kernel;
  row.phase = phase;
  row.metric = metric;
  return row;
}

inline Record value_row(const std::string& kernel, const std::string& phase, const std::string& metric, double value,
                        std::int64_t proc = 0, std::int64_t rep = 0) {
  Record row = result_row(kernel, phase, metric);
  row.unit = metric == "time" ? "ns" : "1";
  row.value = value;
  row.run.proc = proc;
  row.rep = rep;
  return row;
}

inline Record text_row(const std::string& kernel, const std::string& metric, const std::string& text) {
  Record row = result_row(kernel, "eval", metric);
  row.text = text;
  return row;
}

inline Record status_row(const std::string& kernel, Status status, const std::string& phase = "eval") {
  Record row = result_row(kernel, phase, "time");
  row.status = status;
  if (status != Status::ok) row.reason = "because";
  return row;
}

/// Through a file, as the gate gets them.
inline Side side_of(const std::vector<Record>& rows) {
  const TemporaryFolder folder;
  write_file(folder / "r.csv", csv_text(rows));
  return read_side({folder / "r.csv"});
}

}  // namespace aneval::gate
