#include "cli/probe_jobs.h"

#include <nlohmann/json.hpp>

#include "ane/emulator/profile_file.h"
#include "cli/validate_jobs.h"
#include "common/error.h"

namespace aneval::cli {
namespace {

using nlohmann::json;

std::string task_text(const DeviceOptions& device, const char* kind, std::string_view name) {
  ValidateSettings settings;
  settings.device = device;
  return json{{"probe", {{kind, name}}}, {"settings", settings_json(settings)}}.dump();
}

std::string dump(const json& reply) { return reply.dump(-1, ' ', false, json::error_handler_t::replace); }

std::string answers_json(const validate::Answers& answers) {
  json reply = {{"status", status_name(answers.status)}, {"failures", answers.failures}, {"bits", json::array()}};
  for (const auto& bits : answers.bits) reply["bits"].push_back(emulator::hex_text(bits));
  return dump(reply);
}

std::string capability_json(const validate::CapabilityResult& result) {
  return dump({{"status", status_name(result.status)}, {"reason", result.reason}, {"checks", result.checks}});
}

}  // namespace

std::string probe_task(const DeviceOptions& device, emulator::Rule rule) {
  return task_text(device, "rule", emulator::rule_name(rule));
}

std::string probe_task(const DeviceOptions& device, const validate::Capability& capability) {
  return task_text(device, "capability", capability.name());
}

bool is_probe_task(const std::string& task) { return json::parse(task).contains("probe"); }

std::string run_probe_task(const std::string& task) {
  const json j = json::parse(task);
  const json& probe = j.at("probe");
  const DeviceOptions options = parse_settings(j.at("settings")).device;
  if (probe.contains("rule")) {
    const auto& questions = validate::rule_probe(emulator::find_rule(probe["rule"].get<std::string>())).questions;
    validate::Answers answers;
    answers.bits.resize(questions.size());
    try {
      Session session = open_session(options);
      answers = validate::ask(*session.device, questions);
    } catch (const Error& error) {
      answers.status = ane::status_of(error);
      answers.failures = {error.what()};
    }
    return answers_json(answers);
  }
  const validate::Capability& capability = validate::find_capability(probe.at("capability").get<std::string>());
  try {
    Session session = open_session(options);
    return capability_json(validate::try_capability(*session.device, capability));
  } catch (const Error& error) {
    return capability_json({ane::status_of(error), error.what()});
  }
}

validate::Answers parse_answers(const std::string& reply) {
  const json j = json::parse(reply);
  validate::Answers answers;
  answers.status = parse_status(j.at("status").get<std::string>()).value();
  answers.failures = j.at("failures").get<std::vector<std::string>>();
  for (const json& bits : j.at("bits")) answers.bits.push_back(emulator::parse_hex(bits.get<std::string>()));
  return answers;
}

validate::CapabilityResult parse_capability(const std::string& reply) {
  const json j = json::parse(reply);
  return {parse_status(j.at("status").get<std::string>()).value(), j.at("reason"), j.at("checks")};
}

}  // namespace aneval::cli
