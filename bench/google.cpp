#include "bench/google.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "common/error.h"
#include "common/files.h"
#include "common/names.h"

namespace aneval::bench {
namespace {

constexpr std::string_view kPrefix = "--benchmark_";

/// Since 1.8 a plain number is deprecated; before, a suffix is an error.
std::string in_this_versions_words(const std::string& flag, const std::string& seconds) {
#if ANEVAL_GOOGLE_BENCHMARK_VERSION >= 10800
  return flag + seconds + "s";
#else
  return flag + seconds;
#endif
}

std::string checked_time(const std::string& flag, const std::string& value) {
#if ANEVAL_GOOGLE_BENCHMARK_VERSION >= 10800
  if (value.ends_with('x')) {
    if (parse_int(value.substr(0, value.size() - 1), flag) < 1)
      throw input_error(flag + value, "asks for no iterations", "give 1x or more");
    return flag + value;
  }
#endif
  const std::string seconds = value.ends_with('s') ? value.substr(0, value.size() - 1) : value;
  const double number = parse_double(seconds, flag);
  if (!(number > 0) || number > 1e6)
    throw input_error(flag + value, "is not a time above 0", "give seconds, e.g. 0.05");
  return in_this_versions_words(flag, seconds);
}

class PrivateJson : public benchmark::JSONReporter {
 public:
  explicit PrivateJson(std::string machine) : machine_(std::move(machine)) {}

  bool ReportContext(const Context& context) override {
    std::ostream& out = GetOutputStream();
    std::ostringstream text;
    SetOutputStream(&text);
    const bool go_on = JSONReporter::ReportContext(context);
    SetOutputStream(&out);
    out << renamed(text.str());
    return go_on;
  }

 private:
  std::string renamed(std::string json) const {
    const std::string key = "\"host_name\": ";
    const auto begin = json.find(key), end = json.find(",\n", begin);
    if (begin == std::string::npos || end == std::string::npos) return json;  // a version that leaves it out
    const auto value = begin + key.size();
    return json.replace(value, end - value, nlohmann::json(machine_).dump());
  }

  std::string machine_;
};

}  // namespace

GoogleFlags::GoogleFlags(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    const auto equals = argument.find('=');
    const std::string flag = argument.substr(0, equals == std::string::npos ? equals : equals + 1);
    const std::string given = equals == std::string::npos ? "" : argument.substr(equals + 1);
    if (flag == "--benchmark_repetitions=") {
      if (const std::int64_t n = parse_int(given, flag); n < 1 || n > 1'000'000)
        throw input_error(argument, "is not a number of repetitions", "give 1 or more");
    } else if (flag == "--benchmark_min_time=") {
      arguments_.push_back(checked_time(flag, given));
      continue;
    } else if (flag == "--benchmark_out=") {
      check_writable(given);
    } else if (flag == "--benchmark_format=" || flag == "--benchmark_out_format=") {
      const std::vector<std::string> formats = {"console", "json", "csv"};
      if (std::find(formats.begin(), formats.end(), given) == formats.end()) unknown_name("format", given, formats);
    }
    arguments_.push_back(argument);
  }
  if (list_only() || value("out_format").empty() || !value("out").empty()) return;
  throw input_error("--benchmark_out_format", "there is no file", "give --benchmark_out=FILE too");
}

void GoogleFlags::initialize() const {
  // No path, because it ends up in JSON; static, because Google Benchmark keeps a pointer to it.
  static char name[] = "aneval bench";
  std::vector<std::string> words = arguments_;
  std::vector<char*> pointers = {name};
  for (std::string& word : words) pointers.push_back(word.data());
  int count = static_cast<int>(pointers.size());
  benchmark::Initialize(&count, pointers.data());
  if (count > 1)
    throw input_error(pointers[1], "is no option of this command nor a valid flag of Google Benchmark",
                      "see `aneval bench --help`");
}

std::string GoogleFlags::value(const std::string& name) const {
  const std::string flag = std::string(kPrefix) + name;
  // The last one counts, as for Google Benchmark.
  for (auto argument = arguments_.rbegin(); argument != arguments_.rend(); ++argument) {
    if (*argument == flag) return "true";
    if (argument->starts_with(flag + "=")) return argument->substr(flag.size() + 1);
  }
  std::string variable = "BENCHMARK_" + name;
  std::transform(variable.begin(), variable.end(), variable.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  const char* set = std::getenv(variable.c_str());
  return set != nullptr ? set : "";
}

bool GoogleFlags::list_only() const {
  const std::string list = value("list_tests");
  return !list.empty() && list != "false" && list != "0";
}

struct Filter::State {
  bool negated = false, all = false;
  std::regex expression;
};

Filter::Filter(const std::string& expression) : state_(std::make_unique<State>()) {
  const std::string text = expression.starts_with('-') ? expression.substr(1) : expression;
  state_->negated = text.size() != expression.size();
  state_->all = text.empty() || text == "all";
  if (state_->all) return;
  try {
    state_->expression = std::regex(text, std::regex_constants::extended);
  } catch (const std::regex_error& error) {
    throw input_error("--benchmark_filter=" + expression, std::string("is no regular expression: ") + error.what(),
                      "quote ( ) [ ] * + ? where they are meant literally");
  }
}

Filter::~Filter() = default;

bool Filter::chooses(const std::string& name) const {
  return (state_->all || std::regex_search(name, state_->expression)) != state_->negated;
}

std::shared_ptr<benchmark::BenchmarkReporter> display_reporter(const std::string& machine) {
  benchmark::BenchmarkReporter* standard = benchmark::CreateDefaultDisplayReporter();
  if (dynamic_cast<benchmark::JSONReporter*>(standard) != nullptr) return std::make_shared<PrivateJson>(machine);
  return {standard, [](auto*) {}};  // Google Benchmark keeps it
}

std::unique_ptr<benchmark::BenchmarkReporter> file_reporter(const GoogleFlags& flags, const std::string& machine) {
  if (flags.value("out").empty()) return nullptr;
  const std::string format = flags.value("out_format");
  if (format == "console") return std::make_unique<benchmark::ConsoleReporter>(benchmark::ConsoleReporter::OO_None);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  if (format == "csv") return std::make_unique<benchmark::CSVReporter>();
#pragma GCC diagnostic pop
  return std::make_unique<PrivateJson>(machine);
}

}  // namespace aneval::bench
