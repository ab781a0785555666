#include "cli/compare_history.h"

#include <fmt/format.h>

#include "common/error.h"
#include "reports/gate/history_append.h"
#include "reports/gate/history_judge.h"

namespace aneval::cli {

gate::Outcome compare_history(const HistoryCommand& command) {
  const auto acknowledged = gate::read_acknowledgements(command.folder / gate::kAcknowledgedFile);
  std::vector<std::pair<std::string, std::string>> appended;
  if (!command.append.empty())
    for (const gate::Appended& run : gate::append_runs(command.folder, command.append))
      appended.emplace_back("appended",
                            run.rows > 0 ? fmt::format("run {}: {} rows to {}", run.run_id, run.rows, run.file)
                                         : fmt::format("run {}: skipped, it is in {} already", run.run_id, run.file));
  const gate::History history = gate::read_history(command.folder);
  if (history.runs() == 0)
    throw input_error(command.folder.string(), "has no runs",
                      "append one: aneval compare --history DIR --append RESULTS");
  gate::HistoryOptions options;
  options.fresh = command.fresh;
  gate::Outcome outcome = history_outcome(history, judge_history(history, acknowledged, options), options);
  outcome.facts.insert(outcome.facts.begin(), appended.begin(), appended.end());
  return outcome;
}

}  // namespace aneval::cli
