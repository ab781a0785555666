// A profile out of a file that `aneval probe` wrote (validate/probe/probe_file.h): a built-in profile as the base, and
// what was measured of every rule.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "ane/emulator/profile.h"
#include "ane/half.h"

namespace aneval::emulator {

/// Of the file's layout. A reader takes its own schema only.
inline constexpr int kProfileFileSchema = 1;

/// Whether a --profile text means a file: it ends in ".json".
bool is_profile_file(std::string_view text);

/// fp16 numbers in files and messages of the probe: four hexadecimal digits each.
std::string hex_text(std::span<const ane::half_t> bits);
/// Empty when the text is something else.
std::vector<ane::half_t> parse_hex(std::string_view text);

/// The base with the values of the file. Its name is what find_profile() takes for the same arithmetic ("h16",
/// "h16:reduce_sum=wide"): no path gets into records. A rule without a value, because nothing known fitted, stays the
/// base's. What the file measured on an engine becomes the ground of its rules; a file of the emulator proves nothing
/// about a chip and leaves the base's. A sigmoid with the value `measured` brings its table along, and a name that only
/// the file can give.
/// Errors name the file, the rule and the remedy: no such file, no JSON of this kind, an unknown base, rule or value, a
/// rule that is missing, values that do not go together, a table of sigmoid that is short or does not grow.
Profile read_profile_file(const std::filesystem::path& file);

/// A table of all 65536 bit patterns as a profile takes it; what is not a finite number becomes its largest
/// neighbour's. Null when a result is not finite or falls while the argument grows: nothing could be bounded with it.
std::shared_ptr<const std::array<float, 65536>> growing_table(std::span<const ane::half_t> bits);

}  // namespace aneval::emulator
