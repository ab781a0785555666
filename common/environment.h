// What this build and this machine are: the columns every row carries, and environment.json beside the rows.
//
// Privacy: no host name, user name, serial number, hardware UUID, home folder or absolute path leaves the process.
#pragma once

#include <string>
#include <vector>

#include "common/platform.h"
#include "common/record.h"

namespace aneval {

struct Environment {
  std::string version;  // of aneval
  std::string commit;   // short hash at configure time, "+dirty" appended, "unknown" outside a checkout
  std::string build;    // preset, compiler, SIMD level: "release-gcc12-avx512"
  std::string chip;     // "Apple M4 Max", or the CPU's name
  std::string os;       // "macOS 26.3.1 (25D2128)", "Linux 6.1 Debian 12"
  std::string machine;  // --machine-label, else a random label made once and kept in the user's configuration
  int processors = 0;
  double memory_gib = 0;
  bool virtual_machine = false;
  PowerState power;
  std::vector<std::pair<std::string, std::string>> libraries;  // name, version
};

/// `machine_label` empty: the label kept in $XDG_CONFIG_HOME/aneval/machine (or ~/.config, or
/// ~/Library/Application Support on macOS), made when missing; "unnamed" when there is no place to keep one.
Environment describe_environment(const std::string& machine_label);

/// The label, when it is at most 64 bytes of one line; an input_error naming `what` otherwise.
std::string checked_label(const std::string& what, const std::string& label);

/// A run context with a new run_id and the current time, backend and profile empty.
RunContext make_run_context(const Environment& environment);

std::string environment_json(const Environment& environment);

/// Name and value of every entry of an environment.json, in words for people ("yes", "eigen 3.4.0, highway 1.0.3").
/// Throws nlohmann's exceptions for text that is no JSON object.
std::vector<std::pair<std::string, std::string>> environment_lines(const std::string& json);

/// "aneval 0.1.0 (50ff70b, release-gcc12-avx512)".
std::string version_text();

}  // namespace aneval
