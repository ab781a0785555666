// aneval list: what exists, one line each, name first.
#include <fmt/format.h>

#include <map>

#include "ane/kernels/kernel.h"
#include "ane/variant_rules.h"
#include "bench/suites.h"
#include "cli/command.h"
#include "cli/mil_check.h"
#include "common/error.h"
#include "common/names.h"
#include "common/vocabulary.h"
#include "validate/self_test/defects.h"
#include "validate/self_test/defects_host.h"
#include "validate/suites.h"

namespace aneval::cli {
namespace {

void list_kernels() {
  const auto registry = ane::KernelRegistry::builtin();
  for (const ane::KernelSpec& spec : registry.all()) fmt::print("{:<14} {}\n", spec.name, spec.summary);
}

void list_models() {
  for (const ModelShape& m : model_presets())
    fmt::print("{:<12} dim {} hidden {} heads {} kv_heads {} head_dim {} layers {} vocab {} seq {}\n", m.name, m.dim,
               m.hidden, m.heads, m.kv_heads, m.head_dim, m.layers, m.vocab, m.seq);
}

void list_variants() {
  for (const ane::VariantChoice& choice : ane::variant_choices()) {
    std::vector<std::string> values(choice.values.begin(), choice.values.end());
    fmt::print("{:<18} {:<32} {}\n", choice.key, join(values, "|"), choice.trade);
  }
  for (const ane::VariantRule& rule : ane::variant_rules())
    fmt::print("not together: {}: {}\n", rule.choices, rule.reason);
}

void list_profiles() {
  for (const emulator::Profile& p : emulator::profiles()) {
    fmt::print("{:<8} {}{}\n", p.name, p.chip, p.name == emulator::kDefaultProfile ? " (default)" : "");
    for (const emulator::Rule rule : emulator::all_rules()) {
      const emulator::Ground& ground = p.ground(rule);
      fmt::print("  {:<18} {:<10} {} [{}]\n", emulator::rule_name(rule), emulator::evidence_name(ground.evidence),
                 emulator::rule_text(p, rule), ground.source);
    }
    fmt::print("  {:<18} {}\n", "eight_bits", emulator::eight_bits_text(p));
  }
}

/// All cases that `aneval validate --full` runs, or those that the filter fits.
void list_cases(const std::string& filter) {
  validate::SuiteOptions options;
  const auto registry = ane::KernelRegistry::builtin();
  auto cases = validate::edge_cases(registry, options);
  options.extent = validate::Extent::full;
  for (const ModelShape& shape : model_presets()) {
    options.shape = shape;
    const auto of_shape = validate::shape_cases(registry, options);
    cases.insert(cases.end(), of_shape.begin(), of_shape.end());
  }
  std::erase_if(cases, [&](const validate::Case& c) { return !validate::matches(c, filter); });
  if (cases.empty()) throw input_error("--filter " + filter, "fits no case", "see `aneval list cases`");
  for (const validate::Case& c : cases) fmt::print("{}\n", validate::case_text(c));
}

void list_all_cases() { list_cases({}); }

void list_metrics() {
  for (const MetricName& metric : metric_names())
    fmt::print("{:<14} {:<8} {}\n", metric.name, metric.unit.empty() ? "text" : metric.unit, metric.meaning);
}

void list_benchmarks() {
  bench::SuiteOptions options;
  options.shapes = model_presets();
  options.extent = validate::Extent::full;
  for (const bench::Benchmark& benchmark : bench::all_benchmarks(options)) fmt::print("{}\n", benchmark.name);
}

void list_defects() {
  const auto line = [](const auto& defect, validate::Mechanism mechanism) {
    fmt::print("{:<24} {:<11} {}\n", defect.name, validate::mechanism_name(mechanism), defect.summary);
  };
  for (const validate::Defect& defect : validate::defect_catalogue()) line(defect, defect.mechanism);
  for (const validate::HostDefect& defect : validate::host_defects()) line(defect, validate::Mechanism::host);
}

void list_checks() { print_checks(); }

}  // namespace

void add_list(CLI::App& app, Action& action) {
  static const std::map<std::string, void (*)()> lists = {
      {"kernels", list_kernels},   {"models", list_models},         {"variants", list_variants},
      {"profiles", list_profiles}, {"benchmarks", list_benchmarks}, {"cases", list_all_cases},
      {"defects", list_defects},   {"checks", list_checks},         {"metrics", list_metrics}};
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const auto& [name, list] : lists) all.push_back(name);
    return all;
  }();
  auto* command = app.add_subcommand("list", "what exists: " + join(names, ", "));
  auto what = std::make_shared<std::string>();
  command->add_option("what", *what, "what to list")->type_name(join(names, "|"))->required();
  auto filter = std::make_shared<std::string>();
  command->add_option("--filter", *filter, "of cases, only those with these keys, e.g. 'kernel=sdpaFwd;data=sinks'");
  command->callback([what, filter, &action] {
    action = [what, filter] {
      const auto found = lists.find(*what);
      if (found == lists.end()) unknown_name("list", *what, names);
      if (!filter->empty() && *what != "cases")
        throw input_error("--filter " + *filter, "filters cases only", "leave it out, or list cases");
      if (filter->empty())
        found->second();
      else
        list_cases(*filter);
      return 0;
    };
  });
}

}  // namespace aneval::cli
