#include "cli/mil_check.h"

#include <fmt/format.h>

#include "ane/kernels/sequence_limits.h"
#include "ane/mil/checker.h"
#include "ane/mil/family_rules.h"
#include "ane/mil/text.h"
#include "common/error.h"
#include "common/files.h"

namespace aneval::cli {
namespace {

struct CheckMilOptions {
  std::string file, family, weights_dir;
  DeviceOptions device;  // model and variant of it
  bool list = false, limits = false;

  const mil::Family* chosen() const { return family.empty() ? nullptr : &mil::find_family(family); }
};

std::string_view severity_text(mil::Severity severity) {
  return severity == mil::Severity::error ? "error" : "warning";
}

int check_file(const CheckMilOptions& o) {
  const mil::Family* family = o.chosen();  // before the file is read: a wrong name is the cheaper mistake
  const mil::Program program = mil::parse(read_text_file(o.file, kMaxProgramBytes), o.file);
  // Blobs are looked at only when the user says where they are.
  ane::WeightFiles weights;
  if (!o.weights_dir.empty()) weights = ane::read_weight_files(program, o.weights_dir);
  std::vector<mil::Finding> findings = mil::check(program, o.weights_dir.empty() ? nullptr : &weights);
  if (family != nullptr)
    for (mil::Finding& finding : mil::check_family(program, *family)) findings.push_back(std::move(finding));
  bool errors = false;
  for (const mil::Finding& finding : findings) {
    fmt::print("{}\n", mil::finding_text(program, finding));
    errors = errors || finding.severity == mil::Severity::error;
  }
  return static_cast<int>(errors ? ExitCode::check_failed : ExitCode::ok);
}

/// One line per kernel and family, and the smallest of each family.
int print_limits(const CheckMilOptions& o) {
  const mil::Family* chosen = o.chosen();
  const ModelShape shape = o.device.shape();
  const ane::Variant variant = o.device.parsed_variant();
  const auto registry = ane::KernelRegistry::builtin();
  fmt::print(
      "{}, variant {}: the largest S within the caps of ranks and axes (in parentheses the largest multiple of "
      "32 without any error; - for none)\n",
      shape.name, ane::variant_text(variant));
  const auto line = [](std::string_view family, std::string_view kernel, const ane::SequenceLimit& limit,
                       const std::string& stop) {
    const std::string usable = limit.usable ? fmt::format("({})", *limit.usable) : "(-)";
    fmt::print("{:<4} {:<11} {:>6} {:<8} {}\n", family, kernel, limit.largest, usable, stop);
  };
  for (const mil::Family& family : mil::families()) {
    if (chosen != nullptr && chosen != &family) continue;
    const auto limits = ane::sequence_limits(registry, shape, variant, family);
    for (const ane::SequenceLimit& limit : limits)
      line(family.name, limit.kernel, limit, fmt::format("S = {}: {} [{}]", limit.largest + 1, limit.why, limit.rule));
    if (const ane::SequenceLimit* least = ane::smallest_limit(limits))
      line(family.name, "smallest", *least, fmt::format("{} [{}]", least->kernel, least->rule));
  }
  return 0;
}

int check(const CheckMilOptions& o) {
  const int wanted = (o.file.empty() ? 0 : 1) + (o.list ? 1 : 0) + (o.limits ? 1 : 0);
  if (wanted != 1)
    throw input_error("mil check",
                      wanted == 0 ? "nothing to do" : "FILE, --list and --limits are three different questions",
                      "give FILE, or --list, or --limits");
  if (!o.limits && (!o.device.model.empty() || !o.device.variant.empty()))
    throw input_error("mil check", "--model and --variant belong to --limits", "leave them out, or ask for --limits");
  if (o.file.empty() && !o.weights_dir.empty())
    throw input_error("mil check --weights-dir", "there is no FILE whose weights it has", "give FILE");
  if (o.limits) return print_limits(o);
  if (!o.list) return check_file(o);
  print_checks(o.chosen());
  return 0;
}

}  // namespace

void print_checks(const mil::Family* family) {
  const auto line = [](std::string_view name, mil::Severity severity, const std::string& families,
                       std::string_view symptom, std::string_view meaning, std::string_view source) {
    fmt::print("{:<22} {:<8} {:<40} {:<14} {}{}\n", name, severity_text(severity), families, symptom, meaning,
               source.empty() ? "" : fmt::format(" <{}>", source));
  };
  for (const mil::CheckRule& rule : mil::check_rules())
    line(rule.name, rule.severity, "any program", "-", rule.meaning, "");
  for (const mil::FamilyRule& rule : mil::family_rules()) {
    const bool suspected = family != nullptr && (rule.suspected & family->bit) != 0;
    if (family != nullptr && !suspected && (rule.reported & family->bit) == 0) continue;
    std::string where = mil::family_set_text(rule.reported);
    if (rule.suspected != 0) where += fmt::format(" (unmeasured: {})", mil::family_set_text(rule.suspected));
    line(rule.name, suspected ? mil::Severity::warning : rule.severity, where, mil::symptom_text(rule.symptom),
         rule.meaning, rule.source);
  }
}

void add_mil_check(CLI::App& mil, Action& action) {
  auto* command = mil.add_subcommand("check", "lint any MIL file; one line per finding, exit code 1 on errors");
  auto options = std::make_shared<CheckMilOptions>();
  command->add_option("file", options->file, "MIL text")->type_name("FILE");
  command->add_option("--family", options->family, "also what is known about an engine: h13 (M1) … h18 (M6)")
      ->type_name("FAMILY");
  command->add_option("--weights-dir", options->weights_dir, "what @model_path/ means: check the blobs as well")
      ->type_name("FOLDER");
  command->add_flag("--list", options->list, "what is checked: every rule, with its families and where it is from");
  command->add_flag("--limits", options->limits, "the largest S of every kernel, per family, and what stops it");
  command
      ->add_option("--model", options->device.model,
                   fmt::format("shape of --limits; its S does not matter (default {})", kDefaultModel))
      ->type_name("MODEL|FILE");
  command->add_option("--variant", options->device.variant, "variant of --limits (`aneval list variants`)")
      ->type_name("VARIANT");
  command->callback([options, &action] { action = [options] { return check(*options); }; });
}

}  // namespace aneval::cli
