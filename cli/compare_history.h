// aneval compare --history: what a history of runs says, and a run into it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "reports/gate/outcome.h"

namespace aneval::cli {

struct HistoryCommand {
  std::filesystem::path folder;
  std::vector<std::filesystem::path> append;  // results that go into the history first; none: it is only judged
  std::size_t fresh = 4;                      // runs that are judged
};

/// Nothing of it gates: exit code 0, whatever it finds. Errors (exit code 2): a history that cannot be read or has no
/// runs, a malformed acknowledged.csv, results that cannot be appended; then nothing was.
gate::Outcome compare_history(const HistoryCommand& command);

}  // namespace aneval::cli
