// aneval report: what runs found, for people and for other tools.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "cli/command.h"
#include "common/error.h"
#include "common/files.h"
#include "common/names.h"
#include "reports/exports.h"
#include "reports/gate/history_page.h"
#include "reports/html.h"
#include "reports/report.h"

namespace aneval::cli {
namespace {

namespace fs = std::filesystem;

struct ReportOptions {
  std::vector<std::string> results;
  std::string out, format, history;
  reports::CommunityOptions community;
};

/// What can be written. To add one: a row here.
struct Format {
  std::string name, file;
  bool by_default;
  std::string (*render)(const reports::ResultSet&, const reports::Report&, const ReportOptions&);
};

const std::vector<Format>& formats() {
  using Set = const reports::ResultSet&;
  using Report = const reports::Report&;
  using Options = const ReportOptions&;
  static const std::vector<Format> table = {
      {"html", "report.html", true, [](Set, Report report, Options) { return to_html(report); }},
      {"markdown", "summary.md", true, [](Set, Report report, Options) { return to_markdown(report); }},
      {"community", "community.json", false, [](Set set, Report, Options o) { return to_community(set, o.community); }},
      {"wide-csv", "wide.csv", false, [](Set set, Report, Options) { return to_wide_csv(set); }},
  };
  return table;
}

std::vector<std::string> format_names() {
  std::vector<std::string> names;
  for (const Format& format : formats()) names.push_back(format.name);
  return names;
}

/// The formats that were asked for.
std::vector<const Format*> chosen_formats(const ReportOptions& o) {
  std::vector<const Format*> chosen;
  for (const Format& format : formats())
    if (o.format.empty() ? format.by_default : format.name == o.format) chosen.push_back(&format);
  if (chosen.empty()) unknown_name("format", o.format, format_names());
  return chosen;
}

/// The folder to write to, made when missing. Without --out: beside the results.
fs::path output_folder(const ReportOptions& o, const std::vector<const Format*>& chosen) {
  fs::path folder = o.out;
  if (folder.empty()) {
    if (!fs::is_directory(o.results.front()))
      throw input_error("arguments", "there is no folder to write to", "give --out DIR");
    folder = o.results.front();
  }
  make_folder(folder);
  for (const Format* format : chosen) check_writable(folder / format->file);
  return folder;
}

/// The page of --history, if there is one.
std::vector<reports::Page> history_pages(const ReportOptions& o) {
  if (o.history.empty()) return {};
  const fs::path folder = o.history;
  const gate::History history = gate::read_history(folder);
  const auto accepted = gate::read_acknowledgements(folder / gate::kAcknowledgedFile);
  return {history_page(history, judge_history(history, accepted, {}))};
}

int report(const ReportOptions& o) {
  const std::vector<const Format*> chosen = chosen_formats(o);
  for (const std::string& path : o.results)
    if (!fs::exists(path)) throw input_error(path, "does not exist", "name a folder of results, or a result file");
  if (!o.community.username.empty() && o.format != "community")
    throw input_error("--username", "belongs to --format community", "leave it out: no other output names anybody");
  const reports::ResultSet set = reports::read_result_set({o.results.begin(), o.results.end()});
  const reports::Report report = reports::make_report(set, history_pages(o));
  const fs::path folder = output_folder(o, chosen);
  std::string files;
  for (const Format* format : chosen) {
    const fs::path file = folder / format->file;
    write_file(file, format->render(set, report, o));
    files += (files.empty() ? "" : ", ") + file.string();
  }
  fmt::print("{}: {} rows: {}\n", reports::verdict_name(report.verdict), set.rows, files);
  return 0;
}

}  // namespace

void add_report(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("report", "what runs found, as one HTML page and as Markdown");
  auto options = std::make_shared<ReportOptions>();
  command->add_option("results", options->results, "folders of results, or result files (killed runs too)")
      ->type_name("FOLDER|FILE")
      ->required();
  command->add_option("--out", options->out, "folder for the report; without it the results' own")->type_name("FOLDER");
  command->add_option("--format", options->format, "without it html and markdown")
      ->type_name(join(format_names(), "|"));
  command
      ->add_option("--history", options->history,
                   "folder of `aneval compare --history`: its page becomes a part of the report")
      ->type_name("FOLDER");
  command->add_option("--username", options->community.username,
                      "name in a community submission; without it nobody is named");
  command->callback([options, &action] { action = [options] { return report(*options); }; });
}

}  // namespace aneval::cli
