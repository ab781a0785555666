#include "reports/gate/acknowledged.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/csv.h"
#include "common/error.h"
#include "common/files.h"
#include "common/names.h"

namespace aneval::gate {
namespace {

constexpr std::uintmax_t kMostBytes = 1 << 20;
constexpr const char* kHeader = "name,from_commit,reason";
constexpr std::size_t kLeastOfCommit = 7;

}  // namespace

bool Acknowledgement::names(const std::string& finding, const std::string& benchmark) const {
  const auto matches = [&](const std::string& other) {
    if (other.empty()) return false;
    return name.ends_with('*') ? other.starts_with(std::string_view(name).substr(0, name.size() - 1)) : other == name;
  };
  return matches(finding) || matches(benchmark);
}

bool Acknowledgement::is_of(const std::string& other) const {
  const std::size_t shorter = std::min(commit.size(), other.size());
  return commit == other || (shorter >= kLeastOfCommit && commit.compare(0, shorter, other, 0, shorter) == 0);
}

std::vector<Acknowledgement> read_acknowledgements(const std::filesystem::path& file) {
  std::error_code failed;
  if (!std::filesystem::exists(file, failed)) return {};
  std::vector<Acknowledgement> entries;
  std::size_t number = 0;
  const auto error = [&](std::string reason) {
    return input_error(fmt::format("{}:{}", file.string(), std::max<std::size_t>(number, 1)), std::move(reason),
                       fmt::format("its first line is {}, each other one a change that was accepted", kHeader));
  };
  for (std::string line : split(read_text_file(file, kMostBytes), '\n')) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (number == 1) {
      if (line != kHeader) throw error("has another header");
      continue;
    }
    if (line.empty()) continue;
    const auto fields = csv_fields(line);
    if (!fields) throw error("a quote is not closed, or stands inside a field");
    if (fields->size() != 3) throw error(fmt::format("{} fields instead of 3", fields->size()));
    Acknowledgement entry{fields->at(0), fields->at(1), fields->at(2)};
    if (entry.name.empty() || entry.commit.empty() || entry.reason.empty()) throw error("an empty field");
    if (std::any_of(entries.begin(), entries.end(), [&](const Acknowledgement& other) {
          return other.name == entry.name && other.commit == entry.commit;
        }))
      throw error(fmt::format("'{}' at {} is there twice", entry.name, entry.commit));
    entries.push_back(std::move(entry));
  }
  if (number == 0) throw error("is empty");
  return entries;
}

}  // namespace aneval::gate
