// A summary as GitHub-flavoured Markdown.
#include "reports/summary.h"

namespace aneval::reports {
namespace {

/// A cell ends neither its column nor its line, and is no markup.
std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\n' || c == '\r') {
      result += ' ';
      continue;
    }
    if (c == '|' || c == '<' || c == '\\' || c == '`' || c == '*' || c == '_') result += '\\';
    result += c;
  }
  return result;
}

void add_row(std::string& out, const std::vector<std::string>& cells) {
  out += '|';
  for (const std::string& cell : cells) out += ' ' + escaped(cell) + " |";
  out += '\n';
}

void add_table(std::string& out, const Table& table) {
  if (table.folded)
    out += "<details><summary>" + table.title + "</summary>\n\n";
  else
    out += "## " + table.title + "\n\n";
  add_row(out, table.columns);
  out += '|';
  for (std::size_t i = 0; i < table.columns.size(); ++i) out += "---|";
  out += '\n';
  for (const auto& row : table.rows) add_row(out, row);
  if (!table.note.empty()) out += '\n' + table.note + '\n';
  out += table.folded ? "\n</details>\n\n" : "\n";
}

}  // namespace

std::string to_markdown(const Summary& summary) {
  std::string out = "# aneval: " + std::string(verdict_name(summary.verdict)) + "\n\n";
  if (!summary.headline.empty()) out += summary.headline + "\n\n";
  for (const std::string& warning : summary.warnings) out += "> " + warning + "\n\n";
  for (const Table& table : summary.tables) add_table(out, table);
  return out;
}

}  // namespace aneval::reports
