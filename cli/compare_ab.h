// aneval compare --ab: from options to the comparison of two builds (reports/gate/ab_run.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/command.h"
#include "reports/gate/outcome.h"

namespace aneval::cli {

struct AbCommand {
  std::string a, b;                // executables: the base, and what is judged
  std::string out;                 // folder
  DeviceOptions device;            // of both builds; its seed is the comparison's too
  std::vector<std::string> flags;  // --benchmark_…, as `bench` takes them
  std::int64_t blocks = 6, confirm = 15;
  bool resume = false, timing = true, negative_controls = true;
  double process_limit = 1800;  // seconds until a process is killed
};

/// What --ab takes beside what all modes of `compare` take: the device options, --blocks, --confirm, --process-limit,
/// --resume.
void add_ab_options(CLI::App& app, AbCommand& command);

/// Errors as run_ab. A signal ends the comparison early: the outcome refuses and says so, and the command's exit code
/// is 128 + interrupted() (cli/interrupt.h).
gate::Outcome compare_builds(const AbCommand& command);

}  // namespace aneval::cli
