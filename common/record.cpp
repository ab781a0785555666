// The names of statuses (record.h).
#include "common/record.h"

#include <algorithm>

namespace aneval {
namespace {

/// In the order of the enumeration.
constexpr std::array<std::string_view, 13> kStatusNames = {
    "ok",        "degraded",    "failed",       "skipped",   "constraint",    "compile_error", "compile_timeout",
    "run_error", "run_timeout", "wrong_result", "nonfinite", "not_on_engine", "unstable"};
static_assert(kStatusNames.size() == static_cast<std::size_t>(Status::unstable) + 1);

}  // namespace

std::string_view status_name(Status status) { return kStatusNames.at(static_cast<std::size_t>(status)); }

std::optional<Status> parse_status(std::string_view name) {
  const auto found = std::find(kStatusNames.begin(), kStatusNames.end(), name);
  if (found == kStatusNames.end()) return std::nullopt;
  return static_cast<Status>(found - kStatusNames.begin());
}

}  // namespace aneval
