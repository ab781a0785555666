// The tuning table for trainers: JSON, or a C++ header without dependencies.
#pragma once

#include <string>
#include <vector>

#include "tuning/table.h"

namespace aneval::tuning {

/// {"schema": 1, "entries": [{chip, family, os, backend, profile, kernel, model, dims…, knobs: {name: value}, time_ns,
/// gain, error, verdict, program}]}.
std::string json_text(const std::vector<Entry>& entries);

/// A constexpr table and a constexpr look_up(chip, family, kernel, dim, hidden, heads, kv_heads, head_dim, seq): the
/// exact entry, else the nearest shape on that chip, else on the family, else null (the default). Entries of one
/// backend and profile only are told apart by nothing: export them alone.
std::string header_text(const std::vector<Entry>& entries);

}  // namespace aneval::tuning
