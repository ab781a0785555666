// The work of `aneval sweep` in a worker process: a point judged and timed, or timed once more for a confirmation.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "tuning/point.h"
#include "tuning/point_result.h"

namespace aneval::cli {

struct SweepSettings {
  DeviceOptions device;  // backend, label, run id, limits; profile, qos and threads come from the point
  std::vector<std::string> phases;
  std::int64_t repetitions = 5, iterations = 5;
};

/// Lines for `aneval worker` (worker.cpp).
std::string point_task(const SweepSettings& settings, const tuning::Point& point);
std::string confirmation_task(const SweepSettings& settings, const tuning::Point& point);
bool is_sweep_task(const std::string& task);

/// The child's side. Replies result_json, or for a confirmation ln(ns) of the point and of the gate's controls. What
/// the device refuses is in the reply.
std::string run_sweep_task(const std::string& task);

std::vector<double> parse_confirmation(const std::string& reply);

/// Compiles that a task of the point takes: judged and timed apart.
std::int64_t compiles_of(const tuning::Point& point);

}  // namespace aneval::cli
