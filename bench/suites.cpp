#include "bench/suites.h"

#include <algorithm>
#include <set>

namespace aneval::bench {

Record case_row(const validate::Case& c, std::string_view phase) {
  Record row;
  row.model = c.shape.name;
  row.seq = c.shape.seq;
  row.kernel = c.kernel;
  row.variant = ane::variant_text(c.variant);
  row.case_text = validate::case_text(c);
  row.phase = phase;
  return row;
}

std::string case_name(const validate::Case& c) {
  std::string name;
  if (c.kernel == "dynMatmul") {
    // No model's shape: its own three sizes.
    name = "ic=" + std::to_string(c.ic) + "/oc=" + std::to_string(c.oc) + "/seq=" + std::to_string(c.shape.seq);
  } else {
    name = c.shape.name;
    const auto& presets = model_presets();
    const auto preset =
        std::find_if(presets.begin(), presets.end(), [&](const ModelShape& p) { return p.name == c.shape.name; });
    if (preset == presets.end() || preset->seq != c.shape.seq) name += "/seq=" + std::to_string(c.shape.seq);
  }
  return c.variant == ane::Variant{} ? name : name + "/" + ane::variant_text(c.variant);
}

std::vector<Benchmark> all_benchmarks(const SuiteOptions& options) {
  struct Suite {
    std::vector<Benchmark> (*make)(const SuiteOptions&);
    enum { kernels, layers, training, others } of;
  };
  constexpr Suite kSuites[] = {
      {kernel_suite, Suite::kernels},    {matmul_suite, Suite::kernels}, {layer_suite, Suite::layers},
      {train_suite, Suite::training},    {cpu_suite, Suite::others},     {conversion_suite, Suite::others},
      {arithmetic_suite, Suite::others}, {host_suite, Suite::others},    {control_suite, Suite::others},
      {engine_suite, Suite::others},     {ratio_suite, Suite::others}};
  std::vector<Benchmark> all;
  std::set<std::string> names;
  for (const Suite& suite : kSuites) {
    if (!options.kernel.empty() && suite.of != (options.kernel == "layer" ? Suite::layers : Suite::kernels)) continue;
    for (Benchmark& benchmark : suite.make(options))
      // The generic matmul of a shape may be one of the sizes that it is swept over.
      if (names.insert(benchmark.name).second) all.push_back(std::move(benchmark));
  }
  return all;
}

}  // namespace aneval::bench
