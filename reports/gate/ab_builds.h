// The two builds of a comparison as programs that are started: what they are, what they can time, and how a process of
// them ended.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "common/worker.h"
#include "reports/gate/ab_run.h"
#include "reports/gate/samples.h"

namespace aneval::gate {

struct Build {
  std::string letter = {};  // "a"
  std::filesystem::path binary = {};
  std::string hash = {};                    // of the executable
  nlohmann::ordered_json environment = {};  // its `doctor --json`
  std::set<std::string> names = {}, controls = {};
  std::filesystem::path validated = {};  // result file of its own judgement; empty when it has none
  SampleMap judged = {}, counted = {};   // deterministic metrics of validate, and of bench
};

/// Thrown when a signal ended the comparison while a process ran, which is killed.
struct Interrupted {
  int signal;
};

/// Hashes the executable and asks it for its environment. Errors (exit code 2): cannot be read, does not answer.
Build open_build(const AbOptions& options, const std::string& letter, const std::filesystem::path& binary);

/// Runs a command of it under the time limit.
ProcessResult start(const AbOptions& options, const Build& build, std::vector<std::string> arguments);

/// The benchmarks that a filter chooses. Errors (exit code 2): it does not list them.
std::set<std::string> benchmark_names(const AbOptions& options, const Build& build, const std::string& filter);

/// The last line that is not empty, at most 200 bytes.
std::string last_line(const std::string& text);

/// Empty when well. A benchmark that failed says so in its own row: exit code 1 is no news.
std::string how_it_ended(const ProcessResult& result);

}  // namespace aneval::gate
