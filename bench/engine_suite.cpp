// What the engine reaches by itself: 1x1 convolutions with baked weights, one over growing weights (where on-chip
// memory ends, latency leaps), and chains of them (peak throughput). Shapes are those of the community's collections
// (maderix/ANE sram_probe and inmem_peak; dev-erik/ANE community dashboard), so that numbers stand beside theirs.
#include "ane/compiled_kernel.h"
#include "bench/suites.h"
#include "common/random.h"
#include "validate/probe/small_program.h"

namespace aneval::bench {
namespace {

Subject chain_subject(ane::Device* device, const validate::ConvChain& chain, const std::string& name) {
  const auto request = validate::ready_request(*device, validate::conv_chain(chain), name);
  {
    std::vector<float> values(static_cast<std::size_t>(chain.channels * chain.spatial));
    Random(1, "columns").fill_normal(values, 1.0);
    const ane::WriteLock lock(*request->input());
    ane::to_half(values.data(), lock.halves().data(), static_cast<std::int64_t>(values.size()));
  }
  ane::evaluate_poisoned(*device, *request, ane::kPoison[0]);
  const std::string hash = ane::surface_hash(*request->output());
  Subject subject;
  subject.before = [request] { ane::poison(*request->output(), ane::kPoison[1]); };
  subject.run = [device, request] { device->evaluate(*request); };
  subject.after = [request] { ane::check_no_poison(*request, ane::kPoison[1]); };
  subject.finished = [request, hash, name] {
    const std::string now = ane::surface_hash(*request->output());
    if (now != hash) throw hash_differs("output of " + name, hash, now);
  };
  subject.work.flops = chain.flops();
  subject.work.region_bytes = chain.weight_bytes();
  subject.facts = [hash, program = request->executable()->program_hash()](const Record& row) {
    return std::vector<Record>{fact(row, "program_hash", program), fact(row, "output_hash", hash)};
  };
  return subject;
}

}  // namespace

std::vector<Benchmark> engine_suite(const SuiteOptions& options) {
  std::vector<validate::ConvChain> chains = {{256}, {512}, {1024}, {256, 32}};
  if (options.extent == validate::Extent::full) {
    chains.clear();
    for (const std::int64_t channels : {256, 512, 1024, 1536, 2048, 2560, 3072, 3584, 4096, 4608, 5120, 6144})
      chains.push_back({channels});
    chains.push_back({8192, 1, 32});
    for (const std::int64_t depth : {32, 48, 64, 96, 128}) chains.push_back({512, depth});
    for (const std::int64_t depth : {64, 128, 256}) chains.push_back({256, depth});
    for (const std::int64_t depth : {64, 128}) chains.push_back({384, depth});
  }
  std::vector<Benchmark> benchmarks;
  for (const validate::ConvChain& chain : chains) {
    Benchmark benchmark;
    benchmark.name = "conv_chain/channels=" + std::to_string(chain.channels) + "/depth=" + std::to_string(chain.depth) +
                     "/spatial=" + std::to_string(chain.spatial);
    benchmark.row.item = "conv_chain";
    benchmark.row.case_text = "channels=" + std::to_string(chain.channels) + ";depth=" + std::to_string(chain.depth) +
                              ";spatial=" + std::to_string(chain.spatial);
    benchmark.row.phase = "engine";
    benchmark.prepare = [cases = options.cases, chain, name = benchmark.name] {
      return chain_subject(cases->options().device, chain, name);
    };
    benchmarks.push_back(std::move(benchmark));
  }
  return benchmarks;
}

}  // namespace aneval::bench
