// The tuning table: the best knobs of every contest, per chip; what a trainer asks, and how it is answered when nobody
// measured exactly that. A small CSV that is committed and reviewed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/record.h"
#include "tuning/sweep.h"

namespace aneval::tuning {

/// How far an entry's knobs are to be believed.
enum class Verdict {
  faster,       // confirmed against the default by the gate's rule
  kept,         // the default: nothing was faster, or its lead was not confirmed
  only,         // the default cannot run there
  unconfirmed,  // the best of a sweep that confirmed nothing
  predicted,    // by a cost model, not measured
};
std::string_view verdict_name(Verdict verdict);

struct Entry {
  std::string chip, family, os, backend, profile;  // where; an emulator's entries have its name and profile
  std::string kernel, context, knobs;              // context_text and knobs_text
  std::string program;                             // program_identity; empty for layers
  double time_ns = 0, default_ns = 0;              // default_ns 0: it cannot run
  double gain = 0, gain_low = 0, gain_high = 0, p = 1;
  std::int64_t blocks = 0;
  double error = 0, default_error = 0;
  Verdict verdict = Verdict::unconfirmed;
  std::int64_t points = 0;
  std::string build, commit, time_utc;

  Point point() const;  // of context and knobs
};

/// Entries of a sweep's contests.
std::vector<Entry> entries_of(const SweepOutcome& outcome, const RunContext& run, bool predicted);

/// Sorted by chip, backend, profile and context, one line each. write_table is atomic.
std::string table_text(std::vector<Entry> entries);
void write_table(const std::filesystem::path& file, std::vector<Entry> entries);
/// Errors (exit 2) name file, line and column.
std::vector<Entry> read_table(const std::filesystem::path& file);

/// Why an entry may no longer be true; empty when nothing is known against it. `os` empty: not asked.
std::string staleness(const Entry& entry, std::string_view os);

struct Question {
  std::string chip, family, os, backend = "apple";
  Point point;  // kernel, shape, profile; its knobs do not matter
};
struct Answer {
  enum class How { exact, nearest_shape, family, fallback };
  How how = How::fallback;
  const Entry* entry = nullptr;  // null for the fallback: the default
  std::string stale;             // of the entry
};
std::string_view how_name(Answer::How how);

/// Exact (chip, kernel and shape), else the nearest shape of that kernel on that chip, else the nearest on a chip of
/// the family, else the default. Entries of other backends never answer. A stale one only when `allow_stale`.
Answer look_up(const std::vector<Entry>& entries, const Question& question, bool allow_stale);

/// Sum of |ln| of the ratios of dim, hidden, heads, kv_heads, head_dim and seq: 0 for equal shapes.
double shape_distance(const ModelShape& a, const ModelShape& b);

}  // namespace aneval::tuning
