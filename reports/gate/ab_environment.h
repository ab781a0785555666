// Whether two builds can be compared on this machine at all: what `doctor --json` of both says.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace aneval::gate {

/// Parses what `BIN doctor --json` printed. Errors (exit code 2) name the executable: no JSON object with a commit.
nlohmann::ordered_json parse_environment(const std::filesystem::path& executable, const std::string& printed);

/// One text per field that must not differ and does: "build is release-gcc12 in A and debug-gcc12 in B".
std::vector<std::string> environment_differences(const nlohmann::ordered_json& a, const nlohmann::ordered_json& b);

/// These fields of one build, for a journal.
nlohmann::ordered_json environment_fields(const nlohmann::ordered_json& environment);

}  // namespace aneval::gate
