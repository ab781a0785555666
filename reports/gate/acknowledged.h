// Changes of a history that somebody looked at and accepted: acknowledged.csv in its folder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace aneval::gate {

struct Acknowledgement {
  std::string name;    // of a finding or of a benchmark; one that ends in * stands for all names that begin so
  std::string commit;  // with which the new level began
  std::string reason;

  bool names(const std::string& finding, const std::string& benchmark) const;
  /// The same commit, one of the two perhaps shortened (7 characters at least).
  bool is_of(const std::string& other) const;
};

/// CSV with the header `name,from_commit,reason`; none when there is no such file. Errors name file and line: another
/// header, a line with other than three fields, a field that is empty, an entry that is there twice.
std::vector<Acknowledgement> read_acknowledgements(const std::filesystem::path& file);

}  // namespace aneval::gate
