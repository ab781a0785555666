// What a comparison of two builds has finished: OUT/journal.jsonl, one JSON object per line, and the result files of
// its processes in OUT/processes/.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "common/journal.h"

namespace aneval::gate {

/// A process that came to its end, whatever that was.
struct Finished {
  std::string file;   // its result file, within processes/
  std::string ended;  // empty when well
};

class AbJournal {
 public:
  /// Opens or begins it. `comparison` is what makes two comparisons the same one. Errors (exit code 2): it is of
  /// another (the first difference is named), or exists and `resume` is not set; or lines that are no journal's.
  AbJournal(const std::filesystem::path& out, const nlohmann::ordered_json& comparison, bool resume);

  std::optional<Finished> find(const std::string& process) const;
  void add(const std::string& process, const Finished& finished);
  std::size_t size() const { return finished_.size(); }

  std::filesystem::path result_file(const std::string& name) const { return folder_ / name; }
  /// Removes what a process left that was killed together with the comparison; waits until nobody writes to it, which
  /// is a refusal after `patience`.
  void discard(const std::string& name, std::chrono::milliseconds patience) const;

 private:
  std::filesystem::path folder_;
  Journal journal_;
  std::map<std::string, Finished> finished_;
};

}  // namespace aneval::gate
