// aneval report: what a run found, for people.
#include <fmt/format.h>

#include <filesystem>

#include "cli/command.h"
#include "common/error.h"
#include "common/files.h"
#include "common/names.h"
#include "reports/summary.h"

namespace aneval::cli {
namespace {

namespace fs = std::filesystem;

struct ReportOptions {
  std::vector<std::string> results;
  std::string out, format = "markdown";
};

/// The folder to write to, made when missing. Without --out: beside the results.
fs::path output_folder(const ReportOptions& o) {
  fs::path folder = o.out;
  if (folder.empty()) {
    if (!fs::is_directory(o.results.front()))
      throw input_error("arguments", "there is no folder to write to", "give --out DIR");
    folder = o.results.front();
  }
  std::error_code error;
  fs::create_directories(folder, error);
  if (!fs::is_directory(folder)) throw input_error(folder.string(), "cannot be made a folder", "choose another --out");
  check_writable(folder / "summary.md");
  return folder;
}

int report(const ReportOptions& o) {
  if (o.format != "markdown") unknown_name("format", o.format, {"markdown"});
  for (const std::string& path : o.results)
    if (!fs::exists(path)) throw input_error(path, "does not exist", "name a folder of results, or a result file");
  const reports::ResultSet set = reports::read_result_set({o.results.begin(), o.results.end()});
  const reports::Summary summary = reports::summarise(set);
  const fs::path file = output_folder(o) / "summary.md";
  write_file(file, reports::to_markdown(summary));
  fmt::print("{}: {} rows: {}\n", reports::verdict_name(summary.verdict), set.rows, file.string());
  return 0;
}

}  // namespace

void add_report(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("report", "what runs found, as summary.md");
  auto options = std::make_shared<ReportOptions>();
  command->add_option("results", options->results, "folders of results, or result files (killed runs too)")->required();
  command->add_option("--out", options->out, "folder for the report; without it the results' own");
  command->add_option("--format", options->format, "markdown")->capture_default_str();
  command->callback([options, &action] { action = [options] { return report(*options); }; });
}

}  // namespace aneval::cli
