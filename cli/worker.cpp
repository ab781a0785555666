// aneval worker: the child process of --isolate, of probes and of sweeps. Reads tasks as lines, answers each with a
// line; not for people.
#include <nlohmann/json.hpp>

#include "cli/probe_jobs.h"
#include "cli/sweep_jobs.h"
#include "cli/validate_jobs.h"
#include "common/error.h"
#include "common/worker.h"

namespace aneval::cli {

std::string worker_task(const std::string& settings, const std::string& case_text) {
  return nlohmann::json{{"settings", settings}, {"case", case_text}}.dump();
}

void add_worker(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("worker", "runs tasks of another aneval process (internal)");
  command->group("");  // not in --help
  command->callback([&action] {
    action = [] {
      std::string known_settings;
      std::unique_ptr<CaseRunner> runner;
      serve_tasks([&](std::string_view task) {
        if (is_probe_task(std::string(task))) return run_probe_task(std::string(task));
        if (is_sweep_task(std::string(task))) return run_sweep_task(std::string(task));
        const auto j = nlohmann::json::parse(task);
        const std::string settings = j.at("settings");
        try {
          if (!runner || settings != known_settings) {
            runner = std::make_unique<CaseRunner>(parse_settings(settings));
            known_settings = settings;
          }
          return outcome_json(runner->run(validate::parse_case(j.at("case").get<std::string>())));
        } catch (const Error& error) {
          Outcome outcome;
          outcome.status = Status::run_error;
          outcome.reason = error.what();
          outcome.summary = j.at("case");
          return outcome_json(outcome);
        }
      });
      return 0;
    };
  });
}

}  // namespace aneval::cli
