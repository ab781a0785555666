#include "cli/deliver.h"

#include <fmt/format.h>

#include <cstdlib>

#include "common/error.h"
#include "common/files.h"
#include "reports/gate/render.h"

namespace aneval::cli {
namespace {

namespace fs = std::filesystem;

bool to_standard_output(const Delivery& d) { return d.junit == "-" || d.markdown == "-"; }

bool in_github_actions() {
  const char* value = std::getenv("GITHUB_ACTIONS");
  return value != nullptr && std::string(value) == "true";
}

std::string place_of_details(const Delivery& d) {
  if (d.out.empty()) return "`--out DIR` writes gate.csv, which has them all";
  return "gate.csv has them all, in the folder " + fs::path(d.out).lexically_normal().filename().string();
}

}  // namespace

void check_delivery(const Delivery& d) {
  if (d.junit == "-" && d.markdown == "-")
    throw input_error("--junit and --markdown", "both want standard output", "name a file for one of them");
  for (const std::string* file : {&d.junit, &d.markdown})
    if (!file->empty()) check_writable(*file);
  if (!d.junit.empty() && d.junit == d.markdown)
    throw input_error("--junit and --markdown", "name the same file", "name two");
  if (d.out.empty()) return;
  if (!fs::exists(d.out)) return;
  if (!fs::is_directory(d.out)) throw input_error("--out " + d.out, "is no folder", "name a folder");
  for (const char* file : {"gate.csv", "gate.md"}) check_writable(fs::path(d.out) / file);
}

int deliver(const gate::Outcome& outcome, const Delivery& d) {
  // All texts first: what cannot be told is told nowhere.
  const std::string csv = gate::to_csv(outcome), junit = gate::to_junit(outcome),
                    markdown = gate::to_markdown(outcome, d.strict, place_of_details(d));
  if (!d.out.empty()) {
    std::error_code error;
    fs::create_directories(d.out, error);
    if (error) throw refusal("--out " + d.out, "cannot be made: " + error.message(), "choose another folder");
    write_file(fs::path(d.out) / "gate.csv", csv);
    write_file(fs::path(d.out) / "gate.md", markdown);
  }
  if (!d.junit.empty()) write_file(d.junit, junit);
  if (!d.markdown.empty()) write_file(d.markdown, markdown);
  if (!to_standard_output(d)) fmt::print("{}", gate::to_console(outcome, d.strict));
  // Workflow commands are read from both streams; standard output may be a document.
  if (in_github_actions()) fmt::print(stderr, "{}", gate::to_annotations(outcome, d.strict));
  return static_cast<int>(gate::exit_code(outcome, d.strict));
}

}  // namespace aneval::cli
