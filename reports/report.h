// What a report says, without how it looks: verdict, tables and notes, drawn from a result set. Renderers turn it into
// Markdown and other formats.
#pragma once

#include <string>
#include <vector>

#include "reports/result_set.h"

namespace aneval::reports {

struct Table {
  std::string title = {};
  std::vector<std::string> columns = {};
  std::vector<std::vector<std::string>> rows = {};
  std::string note = {};  // below the table
  bool folded = false;    // of interest to few
};

enum class Verdict { passed, failed, incomplete };

std::string_view verdict_name(Verdict verdict);  // "PASSED"

struct Summary {
  Verdict verdict = Verdict::passed;
  std::string headline;               // what was measured with what
  std::vector<std::string> warnings;  // emulator numbers, killed runs
  std::vector<Table> tables;
};

/// Failed when any row or step is; incomplete when a process did not come to its end or nothing was measured.
Summary summarise(const ResultSet& set);

/// GitHub-flavoured Markdown.
std::string to_markdown(const Summary& summary);

}  // namespace aneval::reports
