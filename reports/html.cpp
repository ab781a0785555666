#include "reports/html.h"

#include <fast_float/fast_float.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "common/record.h"
#include "reports/assets.h"
#include "reports/format.h"

namespace aneval::reports {
namespace {

/// As docs/report.md says. Vega draws with its interpreter: nothing is evaluated from text.
constexpr const char* kPolicy =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/// What made the numbers of a table or chart ("apple profile h16; emulator profile h16"), and whether that is an
/// engine.
std::string badge(const std::string& origin) {
  if (origin.empty()) return {};
  std::size_t emulated = 0, all = 0;
  for (std::size_t begin = 0; begin < origin.size(); ++all) {
    const std::size_t end = std::min(origin.find("; ", begin), origin.size());
    emulated += is_emulated(origin.substr(begin, std::min(origin.find(' ', begin), end) - begin));
    begin = end + 2;
  }
  const char* mark = emulated == 0 ? "" : emulated == all ? "not an engine: " : "not all of an engine: ";
  return fmt::format(" <span class=\"badge{}\">{}{}</span>", emulated > 0 ? " emulated" : "", mark,
                     html_escaped(origin));
}

/// A cell that names a status carries it as a class, for its sign and colour; the word stays.
std::string status_class(const std::string& text) {
  const auto status = parse_status(text);
  if (!status) return {};
  switch (*status) {
    case Status::ok:
      return "ok";
    case Status::degraded:
    case Status::unstable:
      return "warn";
    case Status::skipped:
    case Status::constraint:
      return "none";
    default:
      return "bad";
  }
}

void add_cell(std::string& out, const std::string& text, bool first) {
  const std::string key = sort_key(text), kind = status_class(text);
  out += first ? "<th scope=\"row\"" : "<td";
  constexpr std::size_t kShort = 34;  // bytes; longer texts may break
  if (!kind.empty())
    out += " class=\"s " + kind + "\"";
  else if (text.size() > kShort)
    out += " class=\"text\"";
  if (!key.empty() && !first) out += " data-v=\"" + key + "\"";
  out += '>' + html_escaped(text) + (first ? "</th>" : "</td>");
}

void add_table(std::string& out, const Table& table, const char* heading) {
  if (table.folded)
    out += "<details class=\"fold\"><summary>" + html_escaped(table.title) + badge(table.origin) + "</summary>\n";
  else
    out += fmt::format("<{0}>{1}{2}</{0}>\n", heading, html_escaped(table.title), badge(table.origin));
  out += "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"" + html_escaped("table: " + table.title) +
         "\"><table>\n<caption>" + html_escaped(table.title + (table.origin.empty() ? "" : " (" + table.origin + ")")) +
         "</caption>\n<thead><tr>";
  const bool commands = !table.commands.empty();
  for (const std::string& column : table.columns)
    out += "<th scope=\"col\">" + (column.empty() ? "property" : html_escaped(column)) + "</th>";
  if (commands) out += "<th scope=\"col\" class=\"plain\">run again</th>";
  out += "</tr></thead>\n<tbody>\n";
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    out += "<tr>";
    for (std::size_t c = 0; c < table.rows[i].size(); ++c) add_cell(out, table.rows[i][c], c == 0);
    if (commands)
      out += table.commands[i].empty() ? "<td></td>"
                                       : "<td><details class=\"again\"><summary>command</summary><code>" +
                                             html_escaped(table.commands[i]) + "</code></details></td>";
    out += "</tr>\n";
  }
  out += "</tbody></table></div>\n";
  if (!table.note.empty()) out += "<p class=\"note\">" + html_escaped(table.note) + "</p>\n";
  if (table.folded) out += "</details>\n";
}

void add_chart(std::string& out, const Chart& chart, const std::string& id) {
  out += fmt::format(
      "<figure id=\"{0}\"><h3>{1}{2}</h3>\n<div class=\"chart\" data-chart=\"{0}-data\" role=\"group\" "
      "aria-label=\"{3}\"></div>\n",
      id, html_escaped(chart.title), badge(chart.data.origin), html_escaped(chart.title));
  out += "<figcaption>" + html_escaped(chart.description) + "</figcaption>\n";
  Table data = chart.data;
  data.title = "Numbers of this chart: " + chart.title;
  data.folded = true;
  add_table(out, data, "h4");
  out += "<script type=\"application/json\" id=\"" + id + "-data\">" + script_json(chart.specification) +
         "</script></figure>\n";
}

void add_page(std::string& out, const Page& page) {
  out += fmt::format("<section id=\"{0}\" aria-labelledby=\"{0}-title\"><h2 id=\"{0}-title\">{1}</h2>\n", page.id,
                     html_escaped(page.title));
  if (page.charts.empty() && page.tables.empty()) {
    out += "<p class=\"missing\"><strong>Missing.</strong> " + html_escaped(page.missing) + "</p></section>\n";
    return;
  }
  if (!page.intro.empty()) out += "<p>" + html_escaped(page.intro) + "</p>\n";
  for (std::size_t i = 0; i < page.charts.size(); ++i)
    add_chart(out, page.charts[i], fmt::format("{}-chart-{}", page.id, i + 1));
  for (const Table& table : page.tables) add_table(out, table, "h3");
  out += "</section>\n";
}

const char* verdict_class(Verdict verdict) {
  return verdict == Verdict::passed ? "ok" : verdict == Verdict::failed ? "bad" : "warn";
}

}  // namespace

std::string html_escaped(std::string_view text) {
  std::string visible;
  visible.reserve(text.size());
  for (const char c : text)
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t')
      visible += "\xEF\xBF\xBD";
    else
      visible += c;
  return markup_escaped(visible);
}

std::string script_json(std::string_view json) {
  std::string result;
  result.reserve(json.size());
  for (const char c : json) {
    if (c == '<')
      result += "\\u003c";
    else
      result += c;
  }
  return result;
}

std::string sort_key(std::string_view cell) {
  for (const std::string_view sign : {"≤ ", "≥ ", "×", "+", "CPU steps: "})
    if (cell.starts_with(sign)) cell.remove_prefix(sign.size());
  double value = 0;
  const auto [end, error] = fast_float::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc()) return {};
  const std::string_view unit = cell.substr(static_cast<std::size_t>(end - cell.data()));
  struct Unit {
    std::string_view name;
    double factor;
  };
  constexpr std::array<Unit, 8> kUnits = {
      {{" ns", 1}, {" µs", 1e3}, {" ms", 1e6}, {" s", 1e9}, {"", 1}, {" %", 1}, {" dB", 1}, {" bits", 1}}};
  for (const Unit& known : kUnits)
    if (unit == known.name) return fmt::format("{}", value * known.factor);
  // A number and more: "0.5 – 0.9", "9.2 bits, 12 %", "0 (3 flagged)"; "3 kernels" sorts so as well.
  return unit.starts_with(' ') || unit.starts_with(',') ? fmt::format("{}", value) : std::string();
}

std::string to_html(const Report& report) {
  std::string out = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  out += fmt::format("<meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n", kPolicy);
  out +=
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" "
      "content=\"light dark\">\n";
  out += fmt::format("<title>aneval: {}</title>\n<style>\n{}</style>\n</head>\n<body>\n", verdict_name(report.verdict),
                     assets::kStyle);
  out += "<a class=\"skip\" href=\"#main\">Skip to the results</a>\n<nav aria-label=\"Pages of this report\"><ul>\n";
  for (const Page& page : report.pages)
    out += fmt::format("<li><a href=\"#{}\"{}>{}</a></li>\n", page.id,
                       page.charts.empty() && page.tables.empty() ? " class=\"empty\"" : "", html_escaped(page.title));
  out += "<li><a href=\"#reading\">Reading this report</a></li></ul></nav>\n<main id=\"main\">\n";
  out += fmt::format(
      "<header class=\"verdict {}\"><h1>aneval: {}</h1>\n<p>{}</p>\n", verdict_class(report.verdict),
      verdict_name(report.verdict),
      report.headline.empty() ? "Nothing says what was measured with what." : html_escaped(report.headline));
  if (report.emulated)
    out += "<p><span class=\"badge emulated\">not an engine: these numbers are from an emulator</span></p>\n";
  for (const std::string& warning : report.warnings) out += "<p class=\"warning\">" + html_escaped(warning) + "</p>\n";
  out += "</header>\n";
  if (assets::kCharts.empty())
    out +=
        "<p class=\"missing\">This build of aneval draws no charts: npm was missing when it was built. Their numbers "
        "are in the "
        "tables. Install Node.js with npm and build again.</p>\n";
  for (const Page& page : report.pages) add_page(out, page);
  out +=
      "<section id=\"reading\" aria-labelledby=\"reading-title\"><h2 id=\"reading-title\">Reading this report</h2>\n"
      "<p>Times are medians of samples. Errors are against a reference in double precision, on the inputs as they lie "
      "on the "
      "surface; a bound is derived from the program and the arithmetic, and an error above it is a failure. A dash is "
      "a value "
      "that was not measured. Click the head of a column to sort by it; the field above a long table filters its rows "
      "by words. "
      "Numbers with the badge \"not an engine\" come from an emulator or a stand-in: their times say nothing about "
      "hardware.</p>\n";
  if (!assets::kChartLicences.empty())
    out += "<details class=\"fold\"><summary>Licences of the software inside this file</summary><pre>" +
           html_escaped(assets::kChartLicences) + "</pre></details>\n";
  out += "</section>\n</main>\n";
  if (!assets::kCharts.empty()) out += fmt::format("<script>\n{}\n</script>\n", assets::kCharts);
  out += fmt::format("<script>\n{}</script>\n</body>\n</html>\n", assets::kScript);
  return out;
}

}  // namespace aneval::reports
