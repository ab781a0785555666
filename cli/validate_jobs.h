// The work of `aneval validate`, one case at a time: in this process, or in a worker that gets settings and case as
// JSON.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "common/worker.h"
#include "validate/layer_check.h"
#include "validate/real_data.h"

namespace aneval::cli {

struct ValidateSettings {
  DeviceOptions device;
  // Real data: a trained model on a text, or a randomly initialised one on random tokens.
  std::string weights, tokenizer, text;
  bool random_init = false;

  bool real() const { return random_init || !weights.empty(); }
};

/// A line for `aneval worker` (worker.cpp).
std::string worker_task(const std::string& settings, const std::string& case_text);

std::string settings_json(const ValidateSettings& settings);
ValidateSettings parse_settings(const std::string& json);

/// What one case gave: its rows, and what a person reads.
struct Outcome {
  Status status = Status::ok;
  std::string summary;  // one line without the status
  std::string reason;   // when the status is not ok
  std::vector<Record> rows;
};

/// What a task came to whose worker died or was killed; the watchdog's last words tell which call hung.
Status status_of_lost(const TaskResult& task);

/// Of a case that could not be judged.
Outcome failed_outcome(const RunContext& run, const validate::Case& c, Status status, const std::string& reason);

std::string outcome_json(const Outcome& outcome);
Outcome parse_outcome(const std::string& json);

/// Runs cases; kernels stay compiled between them. A case whose kernel is "layer" is a whole layer end to end.
class CaseRunner {
 public:
  explicit CaseRunner(const ValidateSettings& settings);

  Outcome run(const validate::Case& c);

  /// The model's trace over the text (made on first use), with the loss. Only with real data.
  const reference::ModelTrace& trace();
  /// Tokens of the text, and the model's shape with seq set to their number.
  const std::vector<std::int32_t>& tokens();
  ModelShape real_shape();
  const Session& session() const { return session_; }

 private:
  void load_model();

  ValidateSettings settings_;
  Session session_;
  validate::CheckOptions check_;
  validate::KernelChecker checker_;
  std::optional<reference::Model> model_;
  std::vector<std::int32_t> tokens_;
  std::optional<reference::ModelTrace> trace_;
};

}  // namespace aneval::cli
