#include "bench/suites.h"

#include <algorithm>

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
  std::vector<Benchmark> all;
  for (const auto suite : {kernel_suite, matmul_suite}) {
    auto benchmarks = suite(options);
    all.insert(all.end(), benchmarks.begin(), benchmarks.end());
  }
  // The generic matmul of a shape may be one of the sizes that it is swept over.
  std::vector<Benchmark> unique;
  for (Benchmark& benchmark : all)
    if (std::none_of(unique.begin(), unique.end(), [&](const Benchmark& b) { return b.name == benchmark.name; }))
      unique.push_back(std::move(benchmark));
  if (!options.kernel.empty() && options.kernel != "layer") return unique;
  if (options.kernel == "layer") unique.clear();
  std::vector<Benchmark> (*const rest[])(const SuiteOptions&) = {layer_suite, cpu_suite, conversion_suite, host_suite};
  for (const auto suite : rest) {
    if (options.kernel == "layer" && suite != layer_suite) continue;
    auto benchmarks = suite(options);
    unique.insert(unique.end(), benchmarks.begin(), benchmarks.end());
  }
  return unique;
}

}  // namespace aneval::bench
