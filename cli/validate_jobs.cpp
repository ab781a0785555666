#include "cli/validate_jobs.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "common/csv.h"
#include "common/error.h"
#include "reference/llama2c.h"
#include "train/tokens.h"
#include "validate/rows.h"
#include "validate/weights/load_weights.h"
#include "validate/weights/weights.h"

namespace aneval::cli {
namespace {

using nlohmann::json;

std::string shape_label(const validate::Case& c) {
  return fmt::format("{} seq {}{}", c.shape.name, c.shape.seq, c.layer ? fmt::format(" layer {}", *c.layer) : "");
}

Outcome outcome_of(const RunContext& run, const validate::CaseResult& result) {
  Outcome outcome;
  outcome.status = result.status;
  outcome.reason = result.reason;
  double worst = 0;
  std::string where = "-";
  std::int64_t elements = 0, exact = 0;
  for (const validate::BlockJudgement& block : result.blocks) {
    elements += block.channels * block.tokens;
    exact += block.exact_elements;
    if (block.device.worst.ratio > worst) {
      worst = block.device.worst.ratio;
      where = block.block;
    }
  }
  outcome.summary = fmt::format(
      "{:<11} {:<26} {:<16} {:<7} worst e/E {:<8.3g} {:<8} exact {:3.0f} %  {:>6} ms", result.c.kernel,
      shape_label(result.c), result.variant, validate::data_kind_name(result.c.data), worst, where,
      elements > 0 ? 100.0 * static_cast<double>(exact) / static_cast<double>(elements) : 0.0, result.milliseconds);
  outcome.rows = validate::case_rows(run, result);
  return outcome;
}

Outcome outcome_of(const RunContext& run, const validate::LayerResult& result) {
  Outcome outcome;
  outcome.status = result.status;
  outcome.reason = result.reason;
  double cosine = 1, nmse = 0;
  std::string where = "-";
  for (const validate::LayerTensorError& tensor : result.tensors) {
    if (tensor.metrics.nmse > nmse) {
      nmse = tensor.metrics.nmse;
      where = tensor.tensor;
    }
    cosine = std::min(cosine, tensor.metrics.cosine);
  }
  outcome.summary = fmt::format("{:<11} {:<26} {:<16} {:<7} smallest cosine {:.6f}, largest relative error {:.2e} ({})",
                                "layer", shape_label(result.c), ane::variant_text(result.c.variant),
                                validate::data_kind_name(result.c.data), cosine, std::sqrt(nmse), where);
  outcome.rows = validate::layer_rows(run, result);
  return outcome;
}

}  // namespace

std::string settings_json(const ValidateSettings& s) {
  const DeviceOptions& d = s.device;
  json j = {{"model", d.model},       {"backend", d.backend},
            {"profile", d.profile},   {"variant", d.variant},
            {"programs", d.programs}, {"machine_label", d.machine_label},
            {"run_id", d.run_id},     {"proc", d.proc},
            {"seed", d.seed},         {"threads", d.threads},
            {"weights", s.weights},   {"tokenizer", s.tokenizer},
            {"text", s.text},         {"random_init", s.random_init}};
  if (d.seq) j["seq"] = *d.seq;
  if (d.compile_limit) j["compile_limit"] = *d.compile_limit;
  if (d.time_limit) j["time_limit"] = *d.time_limit;
  j["qos"] = d.qos;
  return j.dump();
}

ValidateSettings parse_settings(const std::string& text) {
  const json j = json::parse(text);
  ValidateSettings s;
  DeviceOptions& d = s.device;
  d.model = j.at("model");
  d.backend = j.at("backend");
  d.profile = j.at("profile");
  d.variant = j.at("variant");
  d.programs = j.at("programs");
  d.machine_label = j.at("machine_label");
  d.run_id = j.at("run_id");
  d.proc = j.at("proc");
  d.seed = j.at("seed");
  d.threads = j.at("threads");
  if (j.contains("seq")) d.seq = j["seq"].get<std::int64_t>();
  if (j.contains("compile_limit")) d.compile_limit = j["compile_limit"].get<std::int64_t>();
  if (j.contains("time_limit")) d.time_limit = j["time_limit"].get<double>();
  d.qos = j.at("qos");
  s.weights = j.at("weights");
  s.tokenizer = j.at("tokenizer");
  s.text = j.at("text");
  s.random_init = j.at("random_init");
  return s;
}

Status status_of_lost(const TaskResult& task) {
  for (const Status hung : {Status::run_timeout, Status::compile_timeout})
    if (task.reason.find(status_name(hung)) != std::string::npos) return hung;
  return task.end == TaskResult::End::timed_out ? Status::run_timeout : Status::run_error;
}

Outcome failed_outcome(const RunContext& run, const validate::Case& c, Status status, const std::string& reason) {
  validate::CaseResult result;
  result.c = c;
  result.variant = ane::variant_text(c.variant);
  result.status = status;
  result.reason = reason;
  return {status, fmt::format("{:<11} {}", c.kernel, validate::case_text(c)), reason, validate::case_rows(run, result)};
}

std::string outcome_json(const Outcome& outcome) {
  return json{{"status", status_name(outcome.status)},
              {"summary", outcome.summary},
              {"reason", outcome.reason},
              {"rows", csv_text(outcome.rows)}}
      .dump();
}

Outcome parse_outcome(const std::string& text) {
  const json j = json::parse(text);
  Outcome outcome;
  outcome.status = parse_status(j.at("status").get<std::string>()).value();
  outcome.summary = j.at("summary");
  outcome.reason = j.at("reason");
  visit_csv_text(j.at("rows").get<std::string>(), "reply of a worker",
                 [&](const Record& row) { outcome.rows.push_back(row); });
  return outcome;
}

constexpr std::int64_t kByteVocabulary = 256;  // of models that read text byte by byte

CaseRunner::CaseRunner(const ValidateSettings& settings)
    : settings_(settings),
      session_(open_session(settings.device)),
      check_(check_options(settings_.device, session_)),
      checker_(check_) {}

void CaseRunner::load_model() {
  if (model_) return;
  if (settings_.random_init) {
    model_ = validate::random_model(settings_.device.shape(), settings_.device.seed);
    tokens_ = validate::random_tokens(model_->shape, settings_.device.seed);
    return;
  }
  validate::Weights weights = validate::load_weights(settings_.weights, settings_.device.named_shape());
  weights.model.shape.seq = settings_.device.seq.value_or(weights.model.shape.seq);
  if (settings_.tokenizer.empty() && weights.vocab != kByteVocabulary)
    throw input_error(settings_.weights,
                      fmt::format("its vocabulary of {} entries is not that of bytes", weights.vocab),
                      "give the --tokenizer that it was trained with");
  tokens_ = validate::rows_of_tokens(
      weights, settings_.tokenizer.empty()
                   ? train::byte_tokens(settings_.text, weights.vocab)
                   : reference::Tokenizer::read(settings_.tokenizer, weights.vocab).encode(settings_.text));
  model_ = std::move(weights.model);
}

const std::vector<std::int32_t>& CaseRunner::tokens() {
  load_model();
  return tokens_;
}

ModelShape CaseRunner::real_shape() {
  load_model();
  ModelShape shape = model_->shape;
  shape.seq = static_cast<std::int64_t>(tokens_.size());
  return shape;
}

const reference::ModelTrace& CaseRunner::trace() {
  load_model();
  if (!trace_) trace_ = reference::trace_model(*model_, tokens_);
  return *trace_;
}

Outcome CaseRunner::run(const validate::Case& c) {
  try {
    if (session_.proof) session_.proof->require();
  } catch (const ane::DeviceError& error) {
    return failed_outcome(session_.run, c, error.status(), error.what());
  }
  if (validate::from_model(c.data)) {
    const std::string subject = "case '" + validate::case_text(c) + "'";
    const bool init = c.data == validate::DataKind::init;
    if (!settings_.real() || init != settings_.random_init)
      throw input_error(
          subject, "its data come from a model",
          init ? "give --random-init as well" : "give --weights FILE [--tokenizer FILE] --text TEXT as well");
    const auto& layers = trace().layers;
    const std::int64_t at = c.layer.value_or(0);
    if (at < 0 || at >= static_cast<std::int64_t>(layers.size()))
      throw input_error("case '" + validate::case_text(c) + "'", "the model has no layer " + std::to_string(at),
                        "choose one from 0 to " + std::to_string(layers.size() - 1));
    const reference::LayerTrace& layer = layers[static_cast<std::size_t>(at)];
    if (c.kernel == "layer")
      return outcome_of(session_.run, validate::check_layer(check_, c, validate::real_layer_tensors(c, layer)));
    const auto layout = check_.registry.find(c.kernel).layout(validate::kernel_config(c));
    return outcome_of(session_.run, checker_.run(c, validate::real_case_data(c, layout, layer)));
  }
  if (c.kernel == "layer")
    return outcome_of(session_.run, validate::check_layer(check_, c, validate::random_layer_tensors(c)));
  return outcome_of(session_.run, checker_.run(c));
}

}  // namespace aneval::cli
