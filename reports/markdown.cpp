// A report as GitHub-flavoured Markdown.
#include "reports/report.h"

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
  const std::string title = table.title + (table.origin.empty() ? "" : " (" + table.origin + ")");
  if (table.folded)
    out += "<details><summary>" + escaped(title) + "</summary>\n\n";
  else
    out += "### " + escaped(title) + "\n\n";
  add_row(out, table.columns);
  out += '|';
  for (std::size_t i = 0; i < table.columns.size(); ++i) out += "---|";
  out += '\n';
  for (const auto& row : table.rows) add_row(out, row);
  if (!table.note.empty()) out += '\n' + table.note + '\n';
  out += table.folded ? "\n</details>\n\n" : "\n";
}

}  // namespace

std::string to_markdown(const Table& table) {
  std::string out;
  add_table(out, table);
  return out;
}

std::string to_markdown(const Report& report) {
  std::string out = "# aneval: " + std::string(verdict_name(report.verdict)) + "\n\n";
  if (!report.headline.empty()) out += escaped(report.headline) + "\n\n";
  for (const std::string& warning : report.warnings) out += "> " + escaped(warning) + "\n\n";
  for (const Page& page : report.pages) {
    std::string tables;
    for (const Table& table : page.tables)
      if (table.in_markdown) add_table(tables, table);
    if (!tables.empty()) out += "## " + page.title + "\n\n" + tables;
  }
  return out;
}

}  // namespace aneval::reports
