// Single probes in worker processes: the task that the parent sends, what the child does, and the reply.
#pragma once

#include <string>
#include <variant>

#include "cli/command.h"
#include "validate/probe/capabilities.h"
#include "validate/probe/probe.h"

namespace aneval::cli {

/// A line for `aneval worker` (worker.cpp): the rule or the capability of that name on the device of these options.
std::string probe_task(const DeviceOptions& device, emulator::Rule rule);
std::string probe_task(const DeviceOptions& device, const validate::Capability& capability);
bool is_probe_task(const std::string& task);

/// The child's side: opens the device, asks, replies. What the device or the environment refuses is in the reply.
std::string run_probe_task(const std::string& task);

validate::Answers parse_answers(const std::string& reply);
validate::CapabilityResult parse_capability(const std::string& reply);

}  // namespace aneval::cli
