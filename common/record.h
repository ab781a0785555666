// One measured value: a row of every result file. The schema is fixed (schema 1); columns are only ever appended.
//
// Tidy CSV, RFC 4180 with LF, UTF-8, one row per value, no line break inside a field. `value` reads back to the same
// double and is empty when there is none, never NaN text. csv.h writes and reads the rows.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace aneval {

inline constexpr int kRecordSchema = 1;

/// Column names in file order.
inline constexpr std::array<std::string_view, 28> kRecordColumns = {
    "schema",  "run_id",  "proc",  "time_utc", "commit", "build",  "machine", "chip", "family", "os",
    "backend", "profile", "model", "seq",      "layer",  "kernel", "variant", "case", "item",   "phase",
    "metric",  "unit",    "step",  "rep",      "status", "reason", "value",   "text"};

/// How a measurement ended. Anything but ok carries a reason.
enum class Status {
  ok,
  degraded,
  failed,
  skipped,
  constraint,
  compile_error,
  compile_timeout,
  run_error,
  run_timeout,
  wrong_result,
  nonfinite,
  not_on_engine,
  unstable
};

/// Whether software computed: the emulator, or a stand-in of Apple's framework, which has the emulator for an engine.
/// Its times say nothing about an engine's.
inline bool is_emulated(std::string_view backend) { return backend == "emulator" || backend == "apple-standin"; }

std::string_view status_name(Status status);
std::optional<Status> parse_status(std::string_view name);

/// What is the same for all rows of a process.
struct RunContext {
  std::string run_id = {}, time_utc = {}, commit = {}, build = {}, machine = {}, chip = {}, family = {}, os = {},
              backend = {}, profile = {};
  std::int64_t proc = 0;  // process within the run: statistics use one median per process
};

/// One row. Empty strings and nullopt are written as empty fields.
struct Record {
  int schema = kRecordSchema;
  RunContext run;
  std::string model;
  std::optional<std::int64_t> seq, layer;
  std::string kernel, variant;
  std::string case_text;  // canonical text of the case, column `case`
  std::string item;       // output block, matmul, slice or tensor
  std::string phase, metric, unit;
  std::optional<std::int64_t> step, rep;
  Status status = Status::ok;
  std::string reason;
  std::optional<double> value;
  std::string text;
};

}  // namespace aneval
