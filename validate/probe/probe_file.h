// What a probe found, as the file that `--profile FILE.json` takes (ane/emulator/profile_file.h reads it).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "validate/probe/capabilities.h"
#include "validate/probe/probe.h"

namespace aneval::validate {

/// One conv_chain benchmark.
struct LatencyFinding {
  std::string name;  // of the benchmark
  Status status = Status::ok;
  std::string reason = {};
  double median_ns = 0, tflops = 0, weight_mib = 0;
};

struct ProbeReport {
  std::string version, backend, chip, family, os, date;  // date: UTC, "2026-11-28T09:30:00Z"
  std::string base;                                      // the built-in profile that it was compared with
  std::vector<RuleFinding> rules;                        // none when numerics were not probed
  Fingerprint fingerprint;
  std::vector<std::pair<std::string, CapabilityResult>> capabilities;
  std::vector<LatencyFinding> latency;
};

/// Whether an engine computed, and how one knows: "yes: …", "no: …", "unknown: …".
std::string engine_text(const ProbeReport& report);

/// What of the file depends on a probe of numbers: rules by name with value, verdict, readings and the words of the
/// value; then `engine`, `capabilities`, `latency`. Parts that were not probed are absent.
std::string probe_json(const ProbeReport& report);

}  // namespace aneval::validate
