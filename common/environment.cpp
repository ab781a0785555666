// The fingerprint of build and machine (environment.h). Facts of the operating system come from platform.h.
#include "common/environment.h"

#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include <xxhash.h>

#include "aneval_build_info.h"  // ANEVAL_COMMIT, written by build_info.cmake
#include "common/error.h"
#include "common/files.h"
#include "common/platform.h"

namespace aneval {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLabelBytes = 64;
constexpr const char* kNoLabel = "unnamed";

std::string compiler_text() {
#if defined(__apple_build_version__)
  return fmt::format("appleclang{}", __clang_major__);
#elif defined(__clang__)
  return fmt::format("clang{}", __clang_major__);
#else
  return fmt::format("gcc{}", __GNUC__);
#endif
}

/// The widest instructions the compiler was allowed to use; code with run-time dispatch may use wider ones.
const char* simd_text() {
#if defined(__AVX512F__)
  return "avx512";
#elif defined(__AVX2__)
  return "avx2";
#elif defined(__SSE2__)
  return "sse2";
#elif defined(__ARM_NEON)
  return "neon";
#else
  return "scalar";
#endif
}

std::string build_text() { return fmt::format("{}-{}-{}", ANEVAL_BUILD_NAME, compiler_text(), simd_text()); }

/// The power state's known parts.
nlohmann::ordered_json power_json(const PowerState& power) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (!power.source.empty()) json["source"] = power.source;
  if (power.low_power) json["low_power"] = *power.low_power;
  if (power.thermal) json["thermal"] = *power.thermal;
  if (power.celsius) json["celsius"] = std::round(*power.celsius);
  if (!power.governor.empty()) json["governor"] = power.governor;
  return json;
}

std::string in_words(const nlohmann::ordered_json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (!value.is_object()) return value.dump();
  std::string text;
  for (const auto& [name, part] : value.items()) text += (text.empty() ? "" : ", ") + name + " " + in_words(part);
  return text.empty() ? "unknown" : text;
}

std::string random_hex() {
  std::random_device device;
  return fmt::format("{:08x}", device());
}

fs::path label_file() {
  const char* configured = std::getenv("XDG_CONFIG_HOME");
  // The XDG specification has relative paths ignored.
  if (configured && fs::path(configured).is_absolute()) return fs::path(configured) / "aneval" / "machine";
  const char* home = std::getenv("HOME");
  if (home && fs::path(home).is_absolute())
    return fs::path(home) / configuration_folder_in_home() / "aneval" / "machine";
  return {};
}

/// Empty when there is no usable label in the file.
std::string stored_label(const fs::path& file) {
  std::string label;
  try {
    label = read_text_file(file, kLabelBytes + 1);
  } catch (const Error&) {
    return {};
  }
  if (label.ends_with('\n')) label.pop_back();
  const bool plain = std::all_of(label.begin(), label.end(), [](char c) { return c > ' ' && c < 0x7F && c != '/'; });
  return plain ? label : std::string();
}

std::string kept_label() {
  const fs::path file = label_file();
  if (file.empty()) return kNoLabel;
  if (std::string label = stored_label(file); !label.empty()) return label;
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  try {
    write_file(file, fmt::format("machine-{}\n", random_hex()));
  } catch (const Error&) {
    return kNoLabel;  // a run without a configuration folder is no worse
  }
  // Of two processes that get here at once, the last one's label stays.
  const std::string label = stored_label(file);
  return label.empty() ? kNoLabel : label;
}

std::tm utc(std::time_t time) {
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  return parts;
}

}  // namespace

std::string checked_label(const std::string& what, const std::string& label) {
  const bool printable = std::none_of(label.begin(), label.end(),
                                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  if (!printable || label.size() > kLabelBytes)
    throw input_error(what, fmt::format("longer than {} bytes or with control characters", kLabelBytes),
                      "choose a short name of one line");
  return label;
}

Environment describe_environment(const std::string& machine_label) {
  PlatformFacts facts = platform_facts();
  Environment environment;
  environment.version = ANEVAL_VERSION;
  environment.commit = ANEVAL_COMMIT;
  environment.build = build_text();
  environment.chip = std::move(facts.chip);
  environment.os = std::move(facts.os);
  environment.machine = machine_label.empty() ? kept_label() : checked_label("machine label", machine_label);
  environment.processors = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  environment.memory_gib = facts.memory_gib;
  environment.virtual_machine = facts.virtual_machine;
  environment.power = power_state();
  environment.libraries = {
      {"fmt", fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100)},
      {"nlohmann-json",
       fmt::format("{}.{}.{}", NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH)},
      {"xxhash", fmt::format("{}.{}.{}", XXH_versionNumber() / 10000, XXH_versionNumber() / 100 % 100,
                             XXH_versionNumber() % 100)}};
  return environment;
}

RunContext make_run_context(const Environment& environment) {
  const std::tm now = utc(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now()));
  const std::string date = fmt::format("{:04}-{:02}-{:02}", now.tm_year + 1900, now.tm_mon + 1, now.tm_mday);
  const std::string time = fmt::format("{:02}:{:02}:{:02}", now.tm_hour, now.tm_min, now.tm_sec);
  RunContext run;
  run.time_utc = fmt::format("{}T{}Z", date, time);
  // Sorted by name, runs are sorted by time.
  run.run_id = fmt::format("{}{}", run.time_utc, random_hex());
  std::erase_if(run.run_id, [](char c) { return c == '-' || c == ':'; });
  run.commit = environment.commit;
  run.build = environment.build;
  run.machine = environment.machine;
  run.chip = environment.chip;
  run.os = environment.os;
  return run;
}

std::string environment_json(const Environment& environment) {
  nlohmann::ordered_json libraries = nlohmann::ordered_json::object();
  for (const auto& [name, version] : environment.libraries) libraries[name] = version;
  const nlohmann::ordered_json json = {{"schema", kRecordSchema},
                                       {"version", environment.version},
                                       {"commit", environment.commit},
                                       {"build", environment.build},
                                       {"chip", environment.chip},
                                       {"os", environment.os},
                                       {"machine", environment.machine},
                                       {"processors", environment.processors},
                                       {"memory_gib", std::round(environment.memory_gib * 10) / 10},
                                       {"virtual_machine", environment.virtual_machine},
                                       {"power", power_json(environment.power)},
                                       {"libraries", libraries}};
  // Foreign bytes in a CPU's name are no reason to lose the results.
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
}

std::vector<std::pair<std::string, std::string>> environment_lines(const std::string& json) {
  std::vector<std::pair<std::string, std::string>> lines;
  const auto environment = nlohmann::ordered_json::parse(json);
  for (const auto& [name, value] : environment.items()) lines.emplace_back(name, in_words(value));
  return lines;
}

std::string version_text() { return fmt::format("aneval {} ({}, {})", ANEVAL_VERSION, ANEVAL_COMMIT, build_text()); }

}  // namespace aneval
