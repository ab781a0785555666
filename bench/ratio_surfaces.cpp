// Activations onto surfaces, outputs off them and from surface to surface against memcpy; and what it costs to see that
// an evaluation wrote its output.
#include "ane/kernels/kernel.h"
#include "ane/staging.h"
#include "bench/ratios.h"
#include "common/random.h"

namespace aneval::bench {
namespace {

/// A kernel's two surfaces and an fp32 tensor per slot and block, without a device.
struct Surfaces {
  ane::PackedLayout layout;
  std::unique_ptr<ane::Surface> input, output;
  std::vector<std::pair<std::string, std::vector<float>>> activations, blocks;

  Surfaces(const ModelShape& shape, const std::string& kernel) : layout(make_layout(shape, kernel)) {
    input = ane::make_host_surface(static_cast<std::size_t>(layout.input_bytes()));
    output = ane::make_host_surface(static_cast<std::size_t>(layout.output_bytes()));
    for (const ane::Slot& slot : layout.slots())
      if (slot.kind == ane::SlotKind::activation)
        activations.emplace_back(slot.name, values(slot.channels.size() * slot.width.size()));
    for (const ane::Block& block : layout.blocks())
      blocks.emplace_back(block.name, values(block.channels.size() * block.width.size()));
  }

  static ane::PackedLayout make_layout(const ModelShape& shape, const std::string& kernel) {
    ane::KernelConfig config;
    config.shape = shape;
    return ane::KernelRegistry::builtin().find(kernel).layout(config);
  }
  static std::vector<float> values(std::int64_t n) {
    std::vector<float> values(static_cast<std::size_t>(n));
    Random(1).fill_normal(values, 1.0);
    return values;
  }
  static std::int64_t elements(const std::vector<std::pair<std::string, std::vector<float>>>& tensors) {
    std::int64_t n = 0;
    for (const auto& [name, data] : tensors) n += static_cast<std::int64_t>(data.size());
    return n;
  }
};

Subject write(const ModelShape& shape, const std::string& kernel) {
  const auto surfaces = std::make_shared<Surfaces>(shape, kernel);
  Subject subject;
  subject.run = [surfaces] {
    for (const auto& [slot, data] : surfaces->activations)
      ane::write_slot(surfaces->layout, slot, data, *surfaces->input);
  };
  subject.yardstick = rotating_memcpy(3 * Surfaces::elements(surfaces->activations), 1);
  return subject;
}

Subject read(const ModelShape& shape, const std::string& kernel) {
  const auto surfaces = std::make_shared<Surfaces>(shape, kernel);
  Subject subject;
  subject.run = [surfaces] {
    for (auto& [block, data] : surfaces->blocks) ane::read_block(surfaces->layout, block, *surfaces->output, data);
  };
  subject.yardstick = rotating_memcpy(3 * Surfaces::elements(surfaces->blocks), 1);
  return subject;
}

Subject copy(const ModelShape& shape) {
  const auto from = std::make_shared<Surfaces>(shape, "sdpaFwd"), to = std::make_shared<Surfaces>(shape, "woFwd");
  Subject subject;
  subject.run = [from, to] { ane::copy_block(from->layout, "attn", *from->output, to->layout, "attn", *to->input); };
  subject.yardstick = rotating_memcpy(2 * Surfaces::elements(to->activations), 1);
  return subject;
}

/// Filling an output with the poison and looking for what is left of it, against the evaluation in between. Neither is
/// part of any timed phase.
Subject poison(const std::shared_ptr<ValidatedCases>& cases, const ModelShape& shape, const std::string& kernel) {
  validate::Case c;
  c.kernel = kernel;
  c.shape = shape;
  const ValidatedKernel& validated = cases->kernel(c);
  ane::Device* device = cases->options().device;
  const auto request = validated.ready->request;
  Subject subject;
  subject.before = [request] { ane::poison(*request->output(), ane::kPoison[0]); };
  subject.run = [request] {
    ane::count_poison(*request->output(), ane::kPoison[0]);
    ane::poison(*request->output(), ane::kPoison[1]);
  };
  subject.yardstick = [device, request] { device->evaluate(*request); };
  return subject;
}

}  // namespace

std::vector<Benchmark> surface_ratios(const SuiteOptions& options) {
  const ModelShape shape = load_model_shape("Qwen3-0.6B");
  std::vector<Benchmark> benchmarks;
  for (const char* kernel : {"sdpaFwd", "ffnFused", "sdpaBwd1"}) {
    const std::string name = kernel;
    benchmarks.push_back(ratio_benchmark("write/" + name, at_least(0.8, "memcpy of 3 bytes per element"),
                                         [shape, name] { return write(shape, name); }));
    benchmarks.push_back(ratio_benchmark("read/" + name, at_least(0.8, "memcpy of 3 bytes per element"),
                                         [shape, name] { return read(shape, name); }));
  }
  // Rows of 512 bytes: memcpy itself, row by row, reaches 0.75.
  benchmarks.push_back(
      ratio_benchmark("copy/attn", at_least(0.7, "memcpy of 2 bytes per element"), [shape] { return copy(shape); }));
  benchmarks.push_back(ratio_benchmark("poison/woFwd", beside("its evaluation", Yardstick::Ratio::time),
                                       [cases = options.cases, shape] { return poison(cases, shape, "woFwd"); }));
  return benchmarks;
}

}  // namespace aneval::bench
