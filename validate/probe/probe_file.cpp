#include "validate/probe/probe_file.h"

#include <nlohmann/json.hpp>

#include "ane/emulator/profile_file.h"

namespace aneval::validate {
namespace {

using Json = nlohmann::ordered_json;

Json rule_json(const RuleFinding& finding) {
  Json json;
  json["value"] = finding.value.empty() ? Json() : Json(finding.value);
  for (const emulator::RuleValue& value : emulator::rule_values(finding.rule))
    if (value.name == finding.value) json["text"] = value.text;
  json["builtin"] = finding.builtin;
  json["verdict"] = verdict_name(finding.verdict);
  if (!finding.reason.empty()) json["reason"] = finding.reason;
  json["readings"] = finding.readings;
  for (const auto& [function, bits] : finding.tables) json["tables"][function] = bits;
  return json;
}

Json status_json(Status status, const std::string& reason) {
  Json json = {{"status", status_name(status)}};
  if (!reason.empty()) json["reason"] = reason;
  return json;
}

}  // namespace

std::string engine_text(const ProbeReport& report) {
  const Fingerprint& print = report.fingerprint;
  if (!print.two_halves_of_the_range) return "unknown: the fingerprint's question was not answered";
  const std::string readings = fingerprint_text(print);
  if (report.backend == "emulator")
    return std::string("no: the emulator computed, with ") + (print.engine() ? "an engine's" : "a CPU's") +
           " arithmetic (" + readings + ")";
  if (report.backend != "apple") return "no: a stand-in of Apple's framework computed (" + readings + ")";
  return print.engine() ? "yes: no CPU's matmul gives this (" + readings + ")"
                        : "no: this is a CPU's arithmetic (" + readings + ")";
}

std::string probe_json(const ProbeReport& report) {
  Json json = {{"schema", emulator::kProfileFileSchema},
               {"kind", "aneval probe"},
               {"version", report.version},
               {"backend", report.backend},
               {"chip", report.chip},
               {"family", report.family},
               {"os", report.os},
               {"date", report.date},
               {"base", report.base}};
  if (!report.rules.empty()) {
    json["engine"] = engine_text(report);
    for (const RuleFinding& finding : report.rules)
      json["rules"][emulator::rule_name(finding.rule)] = rule_json(finding);
  }
  for (const auto& [name, result] : report.capabilities) {
    Json entry = status_json(result.status, result.reason);
    if (!result.checks.empty()) entry["mil_check"] = result.checks;
    json["capabilities"][name] = std::move(entry);
  }
  for (const LatencyFinding& finding : report.latency) {
    Json entry = status_json(finding.status, finding.reason);
    if (finding.status == Status::ok) {
      entry["median_ns"] = finding.median_ns;
      entry["tflops"] = finding.tflops;
      entry["weight_mib"] = finding.weight_mib;
    }
    json["latency"][finding.name] = std::move(entry);
  }
  // Foreign bytes in a device's error text are no reason to lose the rest.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace aneval::validate
