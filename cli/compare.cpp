// aneval compare: what changed between two builds, two result files, or along a history. Every mode ends in an Outcome
// (reports/gate/outcome.h), and what becomes of it is the same for all (deliver.h).
#include <fmt/format.h>

#include <algorithm>

#include "cli/command.h"
#include "cli/compare_ab.h"
#include "cli/compare_history.h"
#include "cli/deliver.h"
#include "cli/interrupt.h"
#include "common/error.h"
#include "common/names.h"
#include "reports/gate/compare_files.h"
#include "reports/gate/expected.h"

namespace aneval::cli {
namespace {

namespace fs = std::filesystem;

struct CompareOptions {
  std::vector<std::string> results;  // BASE NEW
  std::string history;               // --history DIR
  std::vector<std::string> append;   // RESULTS
  std::size_t fresh = 4;
  std::vector<std::string> builds;  // --ab
  AbCommand ab;
  bool no_timing = false, no_negative_controls = false;
  std::string changes;
  Delivery delivery;
};

gate::Outcome compare_results(const CompareOptions& o) {
  for (const std::string& path : o.results)
    if (!fs::exists(path)) throw input_error(path, "does not exist", "name a folder of results, or a result file");
  return gate::compare_files({fs::path(o.results[0])}, {fs::path(o.results[1])}, !o.no_timing);
}

gate::Outcome judge_history(const CompareOptions& o) {
  return compare_history({o.history, {o.append.begin(), o.append.end()}, o.fresh});
}

gate::Outcome compare_two_builds(const CompareOptions& o) {
  AbCommand command = o.ab;
  command.a = o.builds.at(0);
  command.b = o.builds.at(1);
  command.out = o.delivery.out;
  command.timing = !o.no_timing;
  command.negative_controls = !o.no_negative_controls;
  return compare_builds(command);
}

/// A way to compare. To add one: a row here, its options in add_compare(), and a function in a file of its own.
struct Mode {
  std::string selector;              // the option that chooses it
  std::size_t values;                // that it takes
  std::string called;                // in messages
  std::vector<std::string> options;  // that mean something in this mode, beside those of all modes
  gate::Outcome (*run)(const CompareOptions&);
};

const std::vector<Mode>& modes() {
  static const std::vector<Mode> table = {
      {"results", 2, "BASE NEW", {"--no-timing"}, compare_results},
      {"--ab",
       2,
       "--ab BIN_A BIN_B",
       {"--no-timing", "--model", "--seq", "--variant", "--backend", "--profile", "--seed", "--threads", "--programs",
        "--compile-limit", "--time-limit", "--qos", "--machine-label", "--blocks", "--confirm", "--process-limit",
        "--resume", "--no-negative-controls", "--benchmark_…"},
       compare_two_builds},
      {"--history", 1, "--history DIR", {"--append", "--fresh"}, judge_history},
  };
  return table;
}

const std::vector<std::string> kOfAllModes = {"--help", "--changes", "--strict", "--junit", "--markdown", "--out"};

bool given(const CLI::App& command, const std::string& option) { return command.get_option(option)->count() > 0; }

bool holds(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string all_called() {
  std::vector<std::string> called;
  for (const Mode& mode : modes()) called.push_back(mode.called);
  return join(called, ", or ");
}

/// The one mode that was asked for, with options that belong to it.
const Mode& chosen_mode(const CLI::App& command) {
  const Mode* chosen = nullptr;
  for (const Mode& mode : modes()) {
    if (!given(command, mode.selector)) continue;
    if (chosen != nullptr)
      throw input_error("arguments", fmt::format("{} and {} are two comparisons", chosen->called, mode.called),
                        "ask for one of them");
    chosen = &mode;
  }
  if (chosen == nullptr) throw input_error("arguments", "nothing to compare", fmt::format("give {}", all_called()));
  const std::size_t values = command.get_option(chosen->selector)->count();
  if (values != chosen->values)
    throw input_error("arguments", fmt::format("{} takes {} values, not {}", chosen->called, chosen->values, values),
                      "see `aneval compare --help`");
  for (const CLI::Option* option : command.get_options()) {
    const std::string name = option->get_name();
    if (option->count() == 0 || name == chosen->selector) continue;
    if (!holds(kOfAllModes, name) && !holds(chosen->options, name))
      throw input_error(name, fmt::format("means nothing for {}", chosen->called), "leave it out");
  }
  for (const std::string& flag : command.remaining())
    if (!flag.starts_with("--benchmark_") || !holds(chosen->options, "--benchmark_…"))
      throw input_error(flag, fmt::format("is no option of {}", chosen->called), "see `aneval compare --help`");
  return *chosen;
}

int compare(const CompareOptions& o, const Mode& mode) {
  check_delivery(o.delivery);
  const auto changes = o.changes.empty() ? std::vector<gate::ExpectedChange>() : gate::read_expected_changes(o.changes);
  gate::Outcome outcome = mode.run(o);
  gate::acknowledge(outcome, changes);
  const int code = deliver(outcome, o.delivery);
  return interrupted() != 0 ? 128 + interrupted() : code;
}

}  // namespace

void add_compare(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("compare", "regression gate: two builds, two results, or a history");
  auto options = std::make_shared<CompareOptions>();
  CompareOptions& o = *options;
  command->add_option("results", o.results, "BASE NEW: two result files, or folders of results (killed runs too)")
      ->type_name("FOLDER|FILE");
  command->add_option("--ab", o.builds, "BIN_A BIN_B: two builds of aneval, run in turns; needs --out")
      ->expected(2)
      ->type_name("FILE FILE");
  command->add_flag("--no-timing", o.no_timing, "judge only what is deterministic");
  add_ab_options(*command, o.ab);
  command->add_flag("--no-negative-controls", o.no_negative_controls,
                    "--ab: when both are the same file, timings gate as well");
  command
      ->add_option("--history", o.history,
                   "judge the last runs of the history in this folder against those before them; advisory")
      ->type_name("FOLDER");
  command->add_option("--append", o.append, "--history: put the runs of these results into it first")
      ->type_name("FOLDER|FILE");
  command->add_option("--fresh", o.fresh, "--history: the runs that are judged")
      ->capture_default_str()
      ->check(CLI::Range(3, 20));
  command->allow_extras();
  command
      ->add_option("--changes", o.changes,
                   "CSV with the header name,reason: changes that are meant; a name may end in *, for all that "
                   "begin so")
      ->type_name("FILE");
  command->add_flag("--strict", o.delivery.strict, "timings that gate and are inconclusive refuse (exit code 3)");
  command->add_option("--junit", o.delivery.junit, "write the findings as JUnit XML to this file")->type_name("FILE");
  command->add_option("--markdown", o.delivery.markdown, "write them as Markdown to this file, - for standard output")
      ->type_name("FILE");
  command
      ->add_option("--out", o.delivery.out,
                   "folder for gate.csv (all findings, all columns) and gate.md, and the journal of --ab")
      ->type_name("FOLDER");
  command->footer(
      "Counts, sizes and hashes must be equal, fp16 errors hold their contract and their base. Times of two files "
      "were\n"
      "taken at different moments: they are advisory, and so is all that a history says.\n"
      "Those of --ab gate; --benchmark_… flags go to `aneval bench`.\n"
      "Exit codes, the first that applies: 2 wrong arguments or input, 3 refused, 5 a deterministic metric got worse,\n"
      "4 benchmarks missing or failed or nothing compared, 1 slower, 0 none of these.");
  command->callback([command, options, &action] {
    const Mode& mode = chosen_mode(*command);
    options->ab.flags = command->remaining();
    action = [options, &mode] { return compare(*options, mode); };
  });
}

}  // namespace aneval::cli
