#include "reports/gate/ab_builds.h"

#include "common/error.h"
#include "common/files.h"
#include "common/hash.h"
#include "common/names.h"
#include "reports/gate/ab_environment.h"

namespace aneval::gate {
namespace {

constexpr std::size_t kWords = 200;

std::string hash_of(const std::filesystem::path& file) {
  const auto bytes = read_file(file);
  Hasher hasher;
  hasher.add(bytes.data(), bytes.size());
  return hasher.digest();
}

}  // namespace

std::string last_line(const std::string& text) {
  const auto lines = split(text, '\n');
  for (auto line = lines.rbegin(); line != lines.rend(); ++line)
    if (!line->empty()) return line->substr(0, kWords);
  return {};
}

std::string how_it_ended(const ProcessResult& result) {
  if (result.end == ProcessResult::End::exited && (result.code == 0 || result.code == 1)) return {};
  const std::string words = last_line(result.err);
  return words.empty() ? result.describe() : result.describe() + ": " + words;
}

ProcessResult start(const AbOptions& options, const Build& build, std::vector<std::string> arguments) {
  const auto signal = [&] { return options.interrupted ? options.interrupted() : 0; };
  if (const int caught = signal(); caught != 0) throw Interrupted{caught};
  arguments.insert(arguments.begin(), std::filesystem::absolute(build.binary).string());
  ProcessResult result = run_process(arguments, options.limit, {}, [&] { return signal() != 0; });
  if (const int caught = signal(); caught != 0) throw Interrupted{caught};
  return result;
}

Build open_build(const AbOptions& options, const std::string& letter, const std::filesystem::path& binary) {
  Build build{.letter = letter, .binary = binary, .hash = hash_of(binary)};
  try {
    build.environment = parse_environment(binary, start(options, build, {"doctor", "--json"}).out);
  } catch (const Error& error) {
    if (error.code() != ExitCode::refused) throw;
    throw input_error(binary.string(), error.reason(), error.remedy());  // it is an argument, and a wrong one
  }
  return build;
}

std::set<std::string> benchmark_names(const AbOptions& options, const Build& build, const std::string& filter) {
  std::vector<std::string> command = {"bench", "--order-seed", "1"};
  command.insert(command.end(), options.device.begin(), options.device.end());
  command.insert(command.end(), options.benchmark.begin(), options.benchmark.end());
  command.insert(command.end(), {"--benchmark_filter=" + filter, "--benchmark_list_tests=true"});
  const ProcessResult result = start(options, build, command);
  if (!result.ok() && last_line(result.err).find("matches none of") != std::string::npos) return {};
  if (!result.ok())
    throw input_error(build.binary.string() + " bench --benchmark_list_tests",
                      result.describe() + (result.err.empty() ? "" : ": " + last_line(result.err)),
                      "name two builds of aneval that have --order-seed, and options that both take");
  std::set<std::string> names;
  for (const std::string& name : split(result.out, '\n'))
    if (!name.empty()) names.insert(name);
  return names;
}

}  // namespace aneval::gate
