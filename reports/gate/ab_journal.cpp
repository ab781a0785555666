#include "reports/gate/ab_journal.h"

#include <thread>

#include "common/error.h"
#include "common/files.h"
#include "common/json_check.h"
#include "common/result_file.h"

namespace aneval::gate {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

fs::path journal_file(const fs::path& out, bool resume) {
  make_folder(out / "processes");
  const fs::path file = out / "journal.jsonl";
  if (fs::exists(file) && !resume)
    throw input_error(file.string(), "there is a comparison already",
                      "go on with it by --resume, or choose another --out");
  return file;
}

std::string shown(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

/// Throws when `then` is another comparison than `now`.
void demand_same(const std::string& file, const Json& then, const Json& now) {
  for (const auto& [name, value] : now.items()) {
    const Json before = then.is_object() && then.contains(name) ? then[name] : Json("nothing");
    if (before == value) continue;
    throw input_error(file, "is of another comparison: its " + name + " is " + shown(before) + ", now " + shown(value),
                      "repeat what it was begun with, or choose another --out");
  }
}

}  // namespace

AbJournal::AbJournal(const fs::path& out, const Json& comparison, bool resume)
    : folder_(out / "processes"), journal_(journal_file(out, resume)) {
  const std::string file = (out / "journal.jsonl").string();
  if (journal_.lines().empty()) {
    journal_.append(Json{{"comparison", comparison}}.dump());
    return;
  }
  std::size_t number = 0;
  for (const std::string& text : journal_.lines()) {
    check_json_depth(text, file + ":" + std::to_string(++number));
    const Json line = Json::parse(text, nullptr, false);
    if (number == 1 && line.is_object() && line.contains("comparison")) {
      demand_same(file, line["comparison"], comparison);
      continue;
    }
    try {
      finished_[line.at("process").get<std::string>()] = {line.at("file").get<std::string>(),
                                                          line.at("ended").get<std::string>()};
    } catch (const Json::exception&) {
      throw input_error(file + ":" + std::to_string(number), "is no line of a comparison's journal",
                        "choose another --out");
    }
  }
}

std::optional<Finished> AbJournal::find(const std::string& process) const {
  const auto found = finished_.find(process);
  return found == finished_.end() ? std::nullopt : std::optional(found->second);
}

void AbJournal::add(const std::string& process, const Finished& finished) {
  const Json line = {{"process", process}, {"file", finished.file}, {"ended", finished.ended}};
  // Foreign bytes in somebody's last words are no reason to lose a process.
  journal_.append(line.dump(-1, ' ', false, Json::error_handler_t::replace));
  finished_[process] = finished;
}

void AbJournal::discard(const std::string& name, std::chrono::milliseconds patience) const {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  fs::path partial = result_file(name);
  partial += kPartialSuffix;
  while (fs::exists(partial)) {
    try {
      const Journal owned(partial);
      break;
    } catch (const Error& error) {
      if (error.code() != ExitCode::refused || std::chrono::steady_clock::now() > deadline) throw;
      // A process that outlived the comparison: it would disturb the next one's times as well.
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
  fs::remove(partial);
  fs::remove(result_file(name));
}

}  // namespace aneval::gate
