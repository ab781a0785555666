// aneval mil check: findings of any MIL file, the catalogue of what is checked, and the lengths that families allow.
#pragma once

#include <cstdint>

#include "ane/mil/family.h"
#include "cli/command.h"

namespace aneval::cli {

/// No MIL text that commands read is larger.
inline constexpr std::uintmax_t kMaxProgramBytes = std::uintmax_t{64} << 20;

/// Every rule with its severity, families, symptom, meaning and source, one line each; with a family the general rules
/// and those that hold there, with their severity there.
void print_checks(const mil::Family* family = nullptr);

void add_mil_check(CLI::App& mil, Action& action);

}  // namespace aneval::cli
