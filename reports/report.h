// What a report says, without how it looks: a verdict, and pages of tables and charts, drawn from a result set.
// Renderers turn it into Markdown (to_markdown) and into one self-contained HTML file (html.h).
//
// To add a page: a function in pages.h, named in report.cpp. To add a table: a function in tables.h, named by its page.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "reports/result_set.h"

namespace aneval::reports {

struct Table {
  std::string title = {};
  std::vector<std::string> columns = {};
  std::vector<std::vector<std::string>> rows = {};
  std::string note = {};    // below the table
  bool folded = false;      // of interest to few
  std::string origin = {};  // what made its numbers: "emulator profile h16"; empty: its rows say, or none
  std::vector<std::string> commands = {};  // per row what makes it again, empty where nothing does; or none at all
  bool in_markdown = true;                 // else it is too long for a page that nothing sorts or filters
};

/// A Vega-Lite specification with its data. The same data stand beside it as a table, for everybody who sees no chart.
struct Chart {
  std::string title = {};
  std::string description = {};    // the text alternative: what is drawn, and how to read it
  std::string specification = {};  // JSON
  Table data = {};
};

struct Page {
  std::string id = {};  // of its address in the file: letters and '-'
  std::string title = {};
  std::string intro = {};
  std::vector<Chart> charts = {};
  std::vector<Table> tables = {};
  std::string missing = {};  // what is said when there is neither: why, and which command measures it
};

enum class Verdict { passed, failed, incomplete };

std::string_view verdict_name(Verdict verdict);  // "PASSED"

struct Report {
  Verdict verdict = Verdict::passed;
  std::string headline = {};               // what was measured with what
  std::vector<std::string> warnings = {};  // emulator numbers, killed runs, files that could not be read
  bool emulated = false;                   // any number in it is of no engine
  std::vector<Page> pages = {};
};

/// The verdict is failed when any row or step is; incomplete when a process did not come to its end, a file could not
/// be read or nothing was measured. `more`: pages of others, in front of the last ones.
Report make_report(const ResultSet& set, std::vector<Page> more = {});

/// GitHub-flavoured Markdown: the tables, page by page.
std::string to_markdown(const Report& report);
/// One table with its title, of the third level.
std::string to_markdown(const Table& table);

}  // namespace aneval::reports
