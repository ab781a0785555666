#include "tuning/sweep_journal.h"

#include <nlohmann/json.hpp>
#include <set>

#include "common/error.h"
#include "common/files.h"
#include "common/json_check.h"
#include "common/names.h"

namespace aneval::tuning {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

fs::path journal_file(const fs::path& out, bool resume) {
  make_folder(out);
  const fs::path file = out / "journal.jsonl";
  if (fs::exists(file) && !resume)
    throw input_error(file.string(), "there is a sweep already", "go on with it by --resume, or choose another --out");
  return file;
}

/// The first key whose value differs, as "seed: 1, now 2".
std::string difference(const Json& then, const Json& now) {
  if (!then.is_object()) return "its description";
  for (const auto& [name, value] : now.items()) {
    if (!then.contains(name)) return name + ": nothing, now " + value.dump();
    if (then[name] == value) continue;
    return value.is_object() ? name + "." + difference(then[name], value)
                             : name + ": " + then[name].dump() + ", now " + value.dump();
  }
  return "something that is gone now";
}

RecordedSweep read_lines(const std::vector<std::string>& lines, const std::string& file) {
  const auto strange = [&](std::size_t number) {
    return input_error(file + ":" + std::to_string(number), "is no line of a sweep's journal", "name a sweep's folder");
  };
  RecordedSweep recorded;
  std::set<std::string> known;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    try {
      check_json_depth(lines[i], file);
      const Json line = Json::parse(lines[i], nullptr, false);
      if (i == 0) {
        recorded.identity = line.at("sweep").dump();
        recorded.setting = line.at("sweep").at("setting").dump();
      } else if (line.contains("process")) {
        recorded.processes[line.at("process")] = line.at("values").get<std::vector<double>>();
      } else {
        const std::string point = line.at("point");
        if (!known.insert(point).second) throw strange(i + 1);
        recorded.points.emplace_back(point, parse_result(line.at("result").dump()));
      }
    } catch (const std::exception&) {
      throw strange(i + 1);
    }
  }
  return recorded;
}

}  // namespace

fs::path journal_of(const fs::path& path) { return fs::is_directory(path) ? path / "journal.jsonl" : path; }

RecordedSweep read_journal(const fs::path& file) {
  std::vector<std::string> lines = split(read_text_file(file), '\n');
  if (!lines.empty()) lines.pop_back();  // what follows the last line feed: nothing, or a line that was cut
  if (lines.empty()) throw input_error(file.string(), "is no sweep's journal", "name a sweep's folder");
  return read_lines(lines, file.string());
}

SweepJournal::SweepJournal(const fs::path& out, const std::string& identity, bool resume)
    : journal_(journal_file(out, resume)) {
  const std::string file = (out / "journal.jsonl").string();
  const Json now = Json::parse(identity);
  if (journal_.lines().empty()) {
    journal_.append(Json{{"sweep", now}}.dump());
    return;
  }
  RecordedSweep recorded = read_lines(journal_.lines(), file);
  if (const Json then = Json::parse(recorded.identity); then != now)
    throw input_error(file, "is of another sweep: " + difference(then, now),
                      "repeat what it was begun with, or choose another --out");
  processes_ = std::move(recorded.processes);
  for (auto& [point, result] : recorded.points) {
    order_.push_back(point);
    results_.emplace(point, std::move(result));
  }
}

const PointResult* SweepJournal::find(const std::string& point) const {
  const auto found = results_.find(point);
  return found == results_.end() ? nullptr : &found->second;
}

void SweepJournal::add(const std::string& point, PointResult result) {
  journal_.append(Json{{"point", point}, {"result", Json::parse(result_json(result))}}.dump());
  order_.push_back(point);
  results_[point] = std::move(result);
}

const std::vector<double>* SweepJournal::find_process(const std::string& process) const {
  const auto found = processes_.find(process);
  return found == processes_.end() ? nullptr : &found->second;
}

void SweepJournal::add_process(const std::string& process, std::vector<double> values) {
  journal_.append(Json{{"process", process}, {"values", values}}.dump());
  processes_[process] = std::move(values);
}

}  // namespace aneval::tuning
