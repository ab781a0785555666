// aneval list: what exists, one line each, name first.
#include <fmt/format.h>

#include <map>

#include "ane/kernels/kernel.h"
#include "cli/command.h"
#include "common/names.h"
#include "validate/metrics.h"
#include "validate/suites.h"

namespace aneval::cli {
namespace {

void list_kernels() {
  const auto registry = ane::KernelRegistry::builtin();
  for (const ane::KernelSpec& spec : registry.all()) fmt::print("{:<12} {}\n", spec.name, spec.summary);
}

void list_models() {
  for (const ModelShape& m : model_presets())
    fmt::print("{:<12} dim {} hidden {} heads {} kv_heads {} head_dim {} layers {} vocab {} seq {}\n", m.name, m.dim,
               m.hidden, m.heads, m.kv_heads, m.head_dim, m.layers, m.vocab, m.seq);
}

void list_variants() {
  for (const ane::VariantChoice& choice : ane::variant_choices()) {
    std::vector<std::string> values(choice.values.begin(), choice.values.end());
    fmt::print("{:<12} {:<32} {}\n", choice.key, join(values, "|"), choice.trade);
  }
}

void list_profiles() {
  for (const emulator::Profile& p : emulator::profiles()) fmt::print("{:<8} {} [{}]\n", p.name, p.chip, p.evidence);
}

void list_cases() {
  validate::SuiteOptions options;
  const auto registry = ane::KernelRegistry::builtin();
  for (const validate::Case& c : validate::edge_cases(registry, options)) fmt::print("{}\n", validate::case_text(c));
  options.extent = validate::Extent::full;
  for (const ModelShape& shape : model_presets()) {
    options.shape = shape;
    for (const validate::Case& c : validate::shape_cases(registry, options)) fmt::print("{}\n", validate::case_text(c));
  }
}

void list_metrics() {
  for (const validate::MetricValue& metric : validate::metric_values({}))
    fmt::print("{:<12} {}\n", metric.metric, metric.unit);
  fmt::print("{:<12} {}\n{:<12} {}\n{:<12} {}\n{:<12} {}\n", "bound_ratio", "1", "compile_count", "count",
             "program_hash", "", "output_hash", "");
}

}  // namespace

void add_list(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("list", "what exists: kernels, models, variants, profiles, cases, metrics");
  static const std::map<std::string, void (*)()> lists = {{"kernels", list_kernels},   {"models", list_models},
                                                          {"variants", list_variants}, {"profiles", list_profiles},
                                                          {"cases", list_cases},       {"metrics", list_metrics}};
  auto what = std::make_shared<std::string>();
  command->add_option("what", *what, "kernels, models, variants, profiles, cases or metrics")->required();
  command->callback([what, &action] {
    action = [what] {
      const auto found = lists.find(*what);
      if (found == lists.end()) {
        std::vector<std::string> known;
        for (const auto& [name, list] : lists) known.push_back(name);
        unknown_name("list", *what, known);
      }
      found->second();
      return 0;
    };
  });
}

}  // namespace aneval::cli
