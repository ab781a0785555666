// The phases of a kernel's life, each timed by itself.
#include <filesystem>
#include <functional>

#include "ane/staging.h"
#include "bench/suites.h"
#include "common/error.h"
#include "common/statistics.h"

namespace aneval::bench {
namespace {

using Cases = std::shared_ptr<ValidatedCases>;

double half_bytes(std::int64_t elements) { return 2.0 * static_cast<double>(elements); }

/// fp32 on one side, fp16 on the other.
Work conversion_work(std::int64_t elements) {
  return {.region_bytes = half_bytes(elements), .moved_bytes = 3 * half_bytes(elements)};
}

std::int64_t elements_of(const ane::PackedLayout& layout, ane::SlotKind kind) {
  std::int64_t n = 0;
  for (const ane::Slot& slot : layout.slots())
    if (slot.kind == kind) n += slot.channels.size() * slot.width.size();
  return n;
}

std::string program_hash(const ValidatedKernel& kernel) { return kernel.ready->kernel.executable->program_hash(); }

/// The surface must hold the same bits as before the runs.
std::function<void()> unchanged(std::shared_ptr<ane::Surface> surface, std::string what) {
  const std::string before = ane::surface_hash(*surface);
  return [surface = std::move(surface), what = std::move(what), before] {
    const std::string now = ane::surface_hash(*surface);
    if (now != before) throw hash_differs(what, before, now);
  };
}

Subject compile(const Cases& cases, const validate::Case& c) {
  const ValidatedKernel& kernel = cases->kernel(c);
  ane::Device* device = cases->options().device;
  auto executable = std::make_shared<std::shared_ptr<ane::Executable>>();
  const ane::ProgramSource source = kernel.ready->kernel.source();
  Subject subject;
  subject.run = [device, executable, source] { *executable = device->compile(source); };
  subject.after = [executable] { executable->reset(); };
  subject.facts = [hash = program_hash(kernel)](const Record& row) {
    return std::vector<Record>{fact(row, "program_hash", hash)};
  };
  return subject;
}

Subject load(const Cases& cases, const validate::Case& c) {
  const ane::ProgramSource source = cases->kernel(c).ready->kernel.source();
  ane::Device* device = cases->options().device;
  auto executable = std::make_shared<std::shared_ptr<ane::Executable>>();
  Subject subject;
  subject.before = [device, executable, source] { *executable = device->compile(source); };
  subject.run = [device, executable] { device->load(**executable); };
  subject.after = [executable] { executable->reset(); };
  return subject;
}

Subject stage_weights(const Cases& cases, const validate::Case& c) {
  const ValidatedKernel& kernel = cases->kernel(c);
  const ane::PackedLayout& layout = kernel.ready->kernel.layout;
  const auto input = kernel.ready->request->input();
  ThreadPool* pool = cases->options().pool;
  Subject subject;
  subject.run = [&layout, data = kernel.data, input, pool] { ane::stage_weights(layout, data->weights, *input, pool); };
  subject.finished = unchanged(input, "staged weights of " + c.kernel);
  subject.work = conversion_work(elements_of(layout, ane::SlotKind::weight));
  return subject;
}

Subject write_acts(const Cases& cases, const validate::Case& c) {
  const ValidatedKernel& kernel = cases->kernel(c);
  const ane::PackedLayout& layout = kernel.ready->kernel.layout;
  const auto input = kernel.ready->request->input();
  Subject subject;
  subject.run = [&layout, data = kernel.data, input] {
    for (const auto& [slot, tensor] : data->activations) ane::write_slot(layout, slot, tensor.data, *input);
  };
  subject.finished = unchanged(input, "activations of " + c.kernel);
  subject.work = conversion_work(elements_of(layout, ane::SlotKind::activation));
  return subject;
}

Subject eval(const Cases& cases, const validate::Case& c) {
  const ValidatedKernel& kernel = cases->kernel(c);
  ane::Device* device = cases->options().device;
  const auto request = kernel.ready->request;
  auto generation = std::make_shared<std::size_t>(0);
  const auto pattern = [generation] { return ane::kPoison[*generation % 2]; };
  Subject subject;
  subject.before = [request, generation, pattern] {
    ++*generation;
    ane::poison(*request->output(), pattern());
  };
  subject.run = [device, request] { device->evaluate(*request); };
  auto hardware = std::make_shared<std::vector<double>>();
  subject.warm = [hardware] { hardware->clear(); };
  subject.after = [request, pattern, hardware, expected = kernel.output_hash, what = "output of " + c.kernel] {
    if (const auto ns = request->hardware_nanoseconds()) hardware->push_back(static_cast<double>(*ns));
    const std::string hash = ane::surface_hash(*request->output());
    if (hash == expected) return;
    ane::check_no_poison(*request, pattern());  // says more than that hashes differ
    throw hash_differs(what, expected, hash);
  };
  const ane::CompiledKernel& compiled = kernel.ready->kernel;
  const auto surface_bytes = static_cast<double>(compiled.layout.input_bytes() + compiled.layout.output_bytes());
  subject.work = {.region_bytes = surface_bytes,
                  .moved_bytes = surface_bytes,
                  .flops = mil::matmul_flops(compiled.program.graph.main())};
  subject.facts = [program = program_hash(kernel), output = kernel.output_hash, surface_bytes,
                   hardware](const Record& row) {
    std::vector<Record> rows = {fact(row, "program_hash", program), fact(row, "output_hash", output),
                                fact(row, "surfaces", 2), fact(row, "surface_bytes", surface_bytes)};
    if (!hardware->empty()) rows.push_back(fact(row, "hardware_time", median(*hardware)));
    return rows;
  };
  return subject;
}

Subject read(const Cases& cases, const validate::Case& c) {
  const ValidatedKernel& kernel = cases->kernel(c);
  const auto request = kernel.ready->request;
  ane::evaluate_poisoned(*cases->options().device, *request, ane::kPoison[0]);
  const ane::PackedLayout& layout = kernel.ready->kernel.layout;
  auto values = std::make_shared<std::vector<std::vector<float>>>();
  std::int64_t elements = 0;
  for (const ane::Block& block : layout.blocks()) {
    values->emplace_back(static_cast<std::size_t>(block.channels.size() * block.width.size()));
    elements += block.channels.size() * block.width.size();
  }
  Subject subject;
  subject.run = [&layout, request, values] {
    for (std::size_t i = 0; i < values->size(); ++i)
      ane::read_block(layout, layout.blocks()[i].name, *request->output(), (*values)[i]);
  };
  subject.finished = [&layout, request, values, what = "output read from " + c.kernel] {
    // Every fp16 number is a float: rounding what was read gives the surface's bits back.
    std::vector<ane::half_t> bits, rounded;
    for (std::size_t i = 0; i < values->size(); ++i) {
      bits.resize((*values)[i].size());
      rounded.resize(bits.size());
      ane::read_block_bits(layout, layout.blocks()[i].name, *request->output(), bits);
      ane::to_half((*values)[i].data(), rounded.data(), static_cast<std::int64_t>(rounded.size()));
      if (bits != rounded) throw hash_differs(what + ", block " + layout.blocks()[i].name, "the surface's", "another");
    }
  };
  subject.work = conversion_work(elements);
  return subject;
}

/// Slots of a kernel that hold a block of another one's output, of its own pass or of the other.
std::vector<ane::SurfaceSource> sources_of(const ane::Variant& variant, const std::string& consumer) {
  ane::LayerPlan plan = ane::layer_plan(variant);
  plan.forward.insert(plan.forward.end(), plan.backward.begin(), plan.backward.end());
  return ane::surface_sources(plan.forward, consumer);
}

Subject copy(const Cases& cases, const validate::Case& c) {
  const ValidatedKernel& to = cases->kernel(c);
  // Into a surface of its own: the kernel's holds the tensors that its output was validated with.
  std::shared_ptr<ane::Surface> input = cases->options().device->create_surface(to.ready->request->input()->bytes());
  std::vector<std::function<void()>> copies;
  std::int64_t elements = 0;
  for (const ane::SurfaceSource& source : sources_of(c.variant, c.kernel)) {
    validate::Case producer = c;
    producer.kernel = source.kernel;
    const ValidatedKernel& from = cases->kernel(producer);
    ane::evaluate_poisoned(*cases->options().device, *from.ready->request, ane::kPoison[0]);
    const ane::Block& block = from.ready->kernel.layout.block(source.block);
    elements += block.channels.size() * block.width.size();
    copies.push_back([&from = from.ready->kernel.layout, &to = to.ready->kernel.layout, source,
                      output = from.ready->request->output(),
                      input] { ane::copy_block(from, source.block, *output, to, source.slot, *input); });
  }
  Subject subject;
  subject.run = [copies] {
    for (const auto& each : copies) each();
  };
  subject.run();
  subject.finished = unchanged(input, "copied activations of " + c.kernel);
  subject.work = {.region_bytes = half_bytes(elements), .moved_bytes = 2 * half_bytes(elements)};
  return subject;
}

struct Phase {
  const char* name;
  Subject (*prepare)(const Cases&, const validate::Case&);
  bool fixed_iterations = false;  // what happens outside the timed part takes longer than the part itself
};

constexpr Phase kPhases[] = {{"compile", compile},
                             {"load", load, true},
                             {"stage_weights", stage_weights},
                             {"write_acts", write_acts},
                             {"eval", eval},
                             {"read", read},
                             {"copy", copy}};

/// Whether the kernel has that phase: some have no weights, some no input that comes from another kernel unchanged.
bool has_phase(const ane::PackedLayout& layout, const validate::Case& c, std::string_view phase) {
  if (phase == "stage_weights") return elements_of(layout, ane::SlotKind::weight) > 0;
  if (phase == "copy") return !sources_of(c.variant, c.kernel).empty();
  return true;
}

bool is_external(const SuiteOptions& options, const std::string& kernel) {
  return options.cases && !options.cases->options().programs.programs.empty() &&
         std::filesystem::exists(options.cases->options().programs.programs / (kernel + ".mil"));
}

Benchmark phase_benchmark(const SuiteOptions& options, const validate::Case& c, const Phase& phase) {
  Benchmark benchmark;
  benchmark.name = c.kernel + "/" + phase.name + "/" + case_name(c);
  benchmark.row = case_row(c, phase.name);
  if (is_external(options, c.kernel)) benchmark.row.variant = "external";
  benchmark.prepare = [cases = options.cases, c, prepare = phase.prepare] { return prepare(cases, c); };
  if (phase.fixed_iterations) benchmark.iterations = 3;
  // Where compiles are counted, one per repetition is what there is to spend.
  const bool compiles = phase.prepare == compile || phase.prepare == load;
  if (compiles && options.cases && options.cases->options().device->compile_limit()) benchmark.iterations = 1;
  return benchmark;
}

void add_phases(const SuiteOptions& options, const validate::Case& c, std::vector<Benchmark>& benchmarks) {
  const auto layout = ane::KernelRegistry::builtin().find(c.kernel).layout(validate::kernel_config(c));
  for (const Phase& phase : kPhases)
    if (has_phase(layout, c, phase.name)) benchmarks.push_back(phase_benchmark(options, c, phase));
}

}  // namespace

std::vector<Benchmark> kernel_suite(const SuiteOptions& options) {
  std::vector<Benchmark> benchmarks;
  validate::SuiteOptions suite;
  suite.variant = options.variant;
  suite.seed = options.seed;
  for (const ModelShape& shape : options.shapes) {
    suite.shape = shape;
    // The random case of every kernel, as `aneval validate` judges it.
    for (const validate::Case& c : validate::shape_cases(ane::KernelRegistry::builtin(), suite))
      if (c.data == validate::DataKind::random && (options.kernel.empty() || options.kernel == c.kernel))
        add_phases(options, c, benchmarks);
  }
  return benchmarks;
}

std::vector<Benchmark> matmul_suite(const SuiteOptions& options) {
  struct Size {
    std::int64_t ic, oc, seq;
  };
  std::vector<Size> sizes;
  if (options.extent == validate::Extent::quick) {
    sizes = {{512, 512, 64}, {1024, 3072, 256}, {3072, 1024, 256}};
  } else {
    for (const std::int64_t ic : {256, 1024, 3072})
      for (const std::int64_t oc : {256, 1024, 3072})
        for (const std::int64_t seq : {64, 256, 512}) sizes.push_back({ic, oc, seq});
  }
  std::vector<Benchmark> benchmarks;
  if (!options.kernel.empty() && options.kernel != "dynMatmul") return benchmarks;
  for (const Size& size : sizes) {
    validate::Case c;
    c.kernel = "dynMatmul";
    c.shape = options.shapes.at(0);  // only its seq matters
    c.shape.seq = size.seq;
    c.variant = options.variant;
    c.ic = size.ic;
    c.oc = size.oc;
    c.seed = options.seed;
    for (const Phase& phase : kPhases)
      if (phase.prepare == eval) benchmarks.push_back(phase_benchmark(options, c, phase));
  }
  return benchmarks;
}

}  // namespace aneval::bench
