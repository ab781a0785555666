// A program that answers `doctor`, `validate` and `bench` as a build of aneval would, with times and misbehaviour of
// the test's choosing: FAKE key=value;… COMMAND OPTIONS. Behaviours that name result files (`crash=1.2.`) hold for
// those whose name begins so.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <regex>
#include <thread>

#include "common/csv.h"
#include "common/files.h"
#include "common/names.h"
#include "common/random.h"
#include "common/vocabulary.h"

namespace {

using namespace aneval;

using Options = std::map<std::string, std::string>;

Options options_of(int argc, char** argv) {
  Options options;
  for (int i = 3; i < argc; ++i) {
    const std::string word = argv[i];
    const auto equals = word.find('=');
    if (equals != std::string::npos && word.starts_with("--benchmark_"))
      options[word.substr(0, equals)] = word.substr(equals + 1);
    else if (word.starts_with("--") && i + 1 < argc && std::string(argv[i + 1]).substr(0, 2) != "--")
      options[word] = argv[i + 1];
  }
  return options;
}

struct Fake {
  Options behaviour, options;
  std::string file;  // the result file's name

  std::string get(const std::string& key, const std::string& otherwise = {}) const {
    const auto found = behaviour.find(key);
    return found == behaviour.end() ? otherwise : found->second;
  }
  bool here(const std::string& key) const { return behaviour.contains(key) && file.starts_with(get(key)); }

  std::vector<std::string> chosen() const {
    const auto filter = options.find("--benchmark_filter");
    const std::regex expression(filter == options.end() ? "" : filter->second, std::regex_constants::extended);
    std::vector<std::string> names;
    for (const std::string& entry : split(get("times"), ',')) {
      const std::string name = entry.substr(0, entry.find(':'));
      if (std::regex_search(name + "/manual_time", expression)) names.push_back(name);
    }
    return names;
  }

  std::string time_of(const std::string& name) const {
    for (const std::string& entry : split(get("times"), ','))
      if (entry.substr(0, entry.find(':')) == name) return entry.substr(entry.find(':') + 1);
    return {};
  }
};

Record row_of(const Fake& fake, const std::string& name) {
  Record row;
  row.run.run_id = "fake";
  row.run.proc = std::atoi(fake.options.at("--proc").c_str());
  row.item = name;
  row.phase = name.starts_with("control/") ? "control" : "eval";
  return row;
}

int bench(const Fake& fake) {
  if (fake.options.contains("--benchmark_list_tests")) {
    for (const std::string& name : fake.chosen()) std::printf("%s\n", name.c_str());
    if (!fake.chosen().empty()) return 0;
    std::fprintf(stderr, "aneval: --benchmark_filter: matches none of 1 benchmarks: see\n");
    return 2;
  }
  if (!fake.get("calls").empty()) std::ofstream(fake.get("calls"), std::ios::app) << fake.file << "\n";
  if (fake.here("sleep")) std::this_thread::sleep_for(std::chrono::milliseconds(30));
  if (fake.here("dead")) std::abort();
  const std::string out = fake.options.at("--out");
  if (fake.here("garbage")) {
    write_file(out, "\x01\x02 no result file\n");
    return 0;
  }
  std::string text = csv_header();
  for (const std::string& name : fake.chosen()) {
    const Record row = row_of(fake, name);
    Record version = fact(row, "benchmark", parse_double(fake.get("version", "1"), "version"));
    version.text = name;
    const std::string ns = fake.time_of(name);
    if (ns == "unnamed") continue;
    text += csv_line(version);
    if (fake.here("twice")) text += csv_line(version);
    Record time = fact(row, "time", 0.0);
    // The same in every repetition of the whole comparison: whoever goes on with it sees the same numbers.
    const double noise = 1 + 0.003 * Random(7, fake.file + name).normal();
    if (ns == "failed") {
      time.value.reset();
      time.status = Status::run_error;
      time.reason = "the engine said no";
    } else {
      time.value = parse_double(ns, "ns") * noise;
    }
    std::string line = csv_line(time);
    if (fake.here("nan")) line.replace(line.rfind(number_text(*time.value)), number_text(*time.value).size(), "nan");
    if (fake.here("schema")) line.replace(0, 1, "2");
    text += line;
    if (fake.here("crash")) {
      write_file(out + ".partial", text);
      std::fprintf(stderr, "something broke\n");
      std::abort();
    }
    if (fake.here("hang")) {
      write_file(out + ".partial", text);
      for (;;) ::sleep(1000);
    }
  }
  if (!fake.get("thermal").empty()) {
    Record power = fact(row_of(fake, "begin"), "power_state",
                        std::string("ac, thermal pressure ") + (fake.here("thermal") ? "2" : "0"));
    power.phase = "power";
    text += csv_line(power);
  }
  write_file(out, text);
  return 0;
}

int validate(const Fake& fake) {
  if (fake.behaviour.contains("validate_dies")) std::abort();
  Record row;
  row.run.run_id = "fake";
  row.kernel = "woFwd";
  row.case_text = "case";
  row.item = "o";
  row.phase = "validate";
  write_file(fake.options.at("--out"),
             csv_header() + csv_line(fact(row, "bound_ratio", parse_double(fake.get("bound", "0.5"), "bound"))));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const std::string command = argv[2];
  Fake fake;
  for (const auto& [key, value] : parse_pairs(argv[1], "behaviour")) fake.behaviour[key] = value;
  fake.options = options_of(argc, argv);
  if (const auto out = fake.options.find("--out"); out != fake.options.end())
    fake.file = std::filesystem::path(out->second).filename().string();
  if (command == "doctor") {
    if (fake.behaviour.contains("mute")) return 0;
    std::printf(R"({"commit":"%s","build":"release","chip":"%s","backend":"%s","power":{"source":"%s"}})",
                fake.get("commit", "abc").c_str(), fake.get("chip", "M4").c_str(),
                fake.get("backend", "emulator").c_str(), fake.get("power", "ac").c_str());
    return 0;
  }
  return command == "validate" ? validate(fake) : command == "bench" ? bench(fake) : 2;
}
