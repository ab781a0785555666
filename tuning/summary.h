// A sweep's results for people: Markdown and a few lines for a terminal.
#pragma once

#include <string>
#include <string_view>

#include "tuning/table.h"

namespace aneval::tuning {

/// `setting`: where it ran, in words ("emulator, profile h16"); said in front of every time.
std::string summary_markdown(const SweepFile& file, const SweepOutcome& outcome, const std::vector<Entry>& entries,
                             std::string_view setting);
/// One line per entry.
std::string entry_line(const Entry& entry);
/// "12 points: 10 ok, 1 degraded, 1 wrong_result; 30 cannot run; 4 the same program as another".
std::string counts_line(const SweepOutcome& outcome);

}  // namespace aneval::tuning
