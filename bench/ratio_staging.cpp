// Staging of weights against memcpy of the bytes it moves (it reads 4 and writes 2 per element: a copy of 3), and
// against the way of the training code that this grew from.
#include <algorithm>
#include <cstring>

#include "ane/kernels/kernel.h"
#include "ane/staging.h"
#include "bench/ratios.h"
#include "common/error.h"
#include "common/random.h"

namespace aneval::bench {
namespace {

/// More layers than any cache holds the weights of.
constexpr std::int64_t kManyLayers = 12;

/// What is staged: layouts with the weights that they name.
struct Job {
  std::string name;
  std::vector<ane::PackedLayout> layouts;
};

/// One weight slot of [rows, columns] in a surface of that width: behind activations, as kernels have it.
Job one_slot(const std::string& name, bool transposed, std::int64_t rows, std::int64_t columns, std::int64_t width) {
  ane::Slot weight, rest;
  weight.name = "slot";
  weight.kind = ane::SlotKind::weight;
  weight.weight = name;
  weight.transposed = transposed;
  weight.channels = ane::make_axis(transposed ? columns : rows, {});
  weight.width = ane::make_axis(transposed ? rows : columns, {});
  rest.name = "rest";
  rest.channels = weight.channels;
  rest.width = ane::make_axis(width - weight.width.size(), {});
  ane::Block block;
  block.name = "output";
  block.channels = weight.width;
  block.width = ane::make_axis(1, {});
  return {name, {ane::PackedLayout::along_width({rest, weight}, {block}, {})}};
}

/// All surfaces of a layer that hold weights.
Job whole_layer(const ModelShape& shape) {
  Job job{"layer", {}};
  const ane::KernelRegistry registry = ane::KernelRegistry::builtin();
  ane::KernelConfig config;
  config.shape = shape;
  for (const std::string& kernel : ane::layer_plan({}).kernels()) {
    ane::PackedLayout layout = registry.find(kernel).layout(config);
    const auto is_weight = [](const ane::Slot& slot) { return slot.kind == ane::SlotKind::weight; };
    if (std::ranges::any_of(layout.slots(), is_weight)) job.layouts.push_back(std::move(layout));
  }
  return job;
}

/// Weights and surfaces of several layers, of which each run stages the next.
class Model {
 public:
  Model(const Job& job, std::int64_t layers) : layouts_(job.layouts) {
    for (std::int64_t i = 0; i < layers; ++i) {
      Layer& layer = layers_.emplace_back();
      for (const ane::PackedLayout& layout : layouts_) {
        layer.surfaces.push_back(ane::make_host_surface(static_cast<std::size_t>(layout.input_bytes())));
        for (const ane::Slot& slot : layout.slots())
          if (slot.kind == ane::SlotKind::weight) {
            elements_ += i == 0 ? slot.channels.size() * slot.width.size() : 0;
            add_weight(slot, layer.weights);
          }
      }
    }
  }

  std::int64_t elements() const { return elements_; }

  /// The next layer.
  void stage(ThreadPool* pool, ane::WeightPasses passes = ane::WeightPasses::per_tensor) {
    Layer& layer = next();
    std::vector<ane::StagingTarget> targets;
    for (std::size_t i = 0; i < layouts_.size(); ++i) targets.push_back({&layouts_[i], layer.surfaces[i].get()});
    ane::stage_weights(targets, layer.weights, pool, passes);
  }
  void stage_all(ThreadPool* pool, ane::WeightPasses passes) {
    for (std::size_t i = 0; i < layers_.size(); ++i) stage(pool, passes);
  }

  /// As the training code does: weights are transposed into a buffer, element by element, and converted row by row.
  void stage_as_the_seed() {
    Layer& layer = next();
    for (std::size_t i = 0; i < layouts_.size(); ++i) {
      const ane::WriteLock lock(*layer.surfaces[i]);
      for (const ane::Slot& slot : layouts_[i].slots()) {
        if (slot.kind != ane::SlotKind::weight) continue;
        const Tensor& weight = layer.weights.at(slot.weight);
        const float* rows = weight.data.data();
        const std::int64_t channels = slot.channels.size(), width = slot.width.size();
        if (slot.transposed) {
          transposed_.resize(weight.data.size());
          for (std::int64_t r = 0; r < width; ++r)
            for (std::int64_t c = 0; c < channels; ++c)
              transposed_[static_cast<std::size_t>(c * width + r)] = rows[r * channels + c];
          rows = transposed_.data();
        }
        ane::half_t* place = lock.halves().data() + slot.channel_offset * layouts_[i].input_width() + slot.width_offset;
        for (std::int64_t c = 0; c < channels; ++c)
          ane::to_half(rows + c * width, place + c * layouts_[i].input_width(), width);
      }
    }
  }

  bool surfaces_equal(Model& other) {
    for (std::size_t layer = 0; layer < layers_.size(); ++layer)
      for (std::size_t i = 0; i < layouts_.size(); ++i)
        if (ane::surface_hash(*layers_[layer].surfaces[i]) != ane::surface_hash(*other.layers_[layer].surfaces[i]))
          return false;
    return true;
  }

 private:
  struct Layer {
    NamedTensors weights;
    std::vector<std::unique_ptr<ane::Surface>> surfaces;
  };

  static void add_weight(const ane::Slot& slot, NamedTensors& weights) {
    std::vector<std::int64_t> shape = {slot.channels.size(), slot.width.size()};
    if (slot.transposed) std::swap(shape[0], shape[1]);
    if (const auto [place, added] = weights.try_emplace(slot.weight, shape); added)
      Random(1, slot.weight).fill_normal(place->second.data, 0.02);
  }

  Layer& next() { return layers_[next_++ % layers_.size()]; }

  std::vector<ane::PackedLayout> layouts_;
  std::vector<Layer> layers_;
  std::vector<float> transposed_;
  std::int64_t elements_ = 0;
  std::size_t next_ = 0;
};

Work staging_work(std::int64_t elements) {
  const auto n = static_cast<double>(elements);
  return {.region_bytes = 2 * n, .moved_bytes = 6 * n};
}

Subject against_memcpy(const Job& job, std::int64_t layers) {
  const auto model = std::make_shared<Model>(job, layers);
  Subject subject;
  subject.run = [model] { model->stage(nullptr); };
  subject.yardstick = rotating_memcpy(3 * model->elements(), layers);
  subject.work = staging_work(model->elements());
  return subject;
}

Subject against_one_thread(const Job& job, ThreadPool* pool) {
  const auto model = std::make_shared<Model>(job, 1);
  Subject subject;
  subject.run = [model, pool] { model->stage(pool); };
  subject.yardstick = [model] { model->stage(nullptr); };
  subject.work = staging_work(model->elements());
  return subject;
}

/// Both between the same buffers, in as many parts as there are threads.
Subject memcpy_on_threads(std::int64_t bytes, ThreadPool* pool) {
  const auto from = std::make_shared<std::vector<char>>(static_cast<std::size_t>(bytes), 'a');
  const auto to = std::make_shared<std::vector<char>>(from->size(), 'b');
  const std::int64_t threads = pool != nullptr ? pool->threads() : 1;
  const auto copy = [from, to, bytes, part = (bytes + threads - 1) / threads](ThreadPool* used) {
    parallel_for(used, bytes, part, [&](std::int64_t begin, std::int64_t end) {
      std::memcpy(to->data() + begin, from->data() + begin, static_cast<std::size_t>(end - begin));
    });
  };
  Subject subject;
  subject.run = [copy, pool] { copy(pool); };
  subject.yardstick = [copy] { copy(nullptr); };
  return subject;
}

Subject against_another_width(const Job& job, const Job& other) {
  const auto model = std::make_shared<Model>(job, 1), usual = std::make_shared<Model>(other, 1);
  Subject subject;
  subject.run = [model] { model->stage(nullptr); };
  subject.yardstick = [usual] { usual->stage(nullptr); };
  subject.work = staging_work(model->elements());
  return subject;
}

/// Restaging after an optimizer step: all layers, on the threads that there are.
Subject one_pass_against_two(const Job& job, std::int64_t layers, ThreadPool* pool) {
  const auto model = std::make_shared<Model>(job, layers);
  Subject subject;
  subject.run = [model, pool] { model->stage_all(pool, ane::WeightPasses::per_tensor); };
  subject.yardstick = [model, pool] { model->stage_all(pool, ane::WeightPasses::per_slot); };
  subject.work = staging_work(model->elements() * layers);
  return subject;
}

Subject against_the_seed(const Job& job) {
  const auto model = std::make_shared<Model>(job, 1), seed = std::make_shared<Model>(job, 1);
  Subject subject;
  subject.run = [model] { model->stage(nullptr); };
  subject.yardstick = [seed] { seed->stage_as_the_seed(); };
  subject.finished = [model, seed] {
    if (!model->surfaces_equal(*seed))
      throw Error(ExitCode::check_failed, "staged weights", "differ from what the seed's way stages",
                  "run memory_test");
  };
  subject.work = staging_work(model->elements());
  return subject;
}

}  // namespace

std::vector<Benchmark> staging_ratios(const SuiteOptions& options) {
  const ModelShape shape = load_model_shape("Qwen3-0.6B");
  const std::int64_t s = shape.seq, d = shape.dim, f = shape.hidden, q = shape.q_dim(), k = shape.kv_dim();
  std::vector<Benchmark> benchmarks;
  const auto add = [&](const Job& job, const std::string& kind, double target) {
    for (const std::int64_t layers : {std::int64_t{1}, kManyLayers})
      benchmarks.push_back(ratio_benchmark("stage/" + kind + "/" + job.name + "/layers=" + std::to_string(layers),
                                           at_least(target, "memcpy of 3 bytes per element"),
                                           [job, layers] { return against_memcpy(job, layers); }));
  };
  for (const Job& job : {one_slot("w2", false, d, f, s + f), one_slot("wo", false, d, q, s + q),
                         one_slot("w1", false, f, d, 2 * s + 2 * d)})
    add(job, "contiguous", 0.9);
  for (const Job& job : {one_slot("wq", true, q, d, s + q + 2 * k), one_slot("wk", true, k, d, s + q + 2 * k),
                         one_slot("w1", true, f, d, 2 * s + 3 * f), one_slot("wo", true, d, q, s + d)})
    add(job, "transposed", 0.7);
  // Rows of the surface 8192 bytes apart: all of a column's lines fall into few sets of a cache.
  const Job wq = one_slot("wq", true, q, d, s + q + 2 * k), power = one_slot("wq", true, q, d, 2 * q);
  benchmarks.push_back(ratio_benchmark("stage/power_of_two/wq", at_least(0.7, "rows of sdpaFwd's width"),
                                       [wq, power] { return against_another_width(power, wq); }));
  const Job layer = whole_layer(shape);
  benchmarks.push_back(ratio_benchmark("stage/layer/layers=2", at_least(0.75, "memcpy of 3 bytes per element"),
                                       [layer] { return against_memcpy(layer, 2); }));
  benchmarks.push_back(ratio_benchmark("stage/layer/seed", at_least(15, "transpose into a buffer, then rows"),
                                       [layer] { return against_the_seed(layer); }));
  const std::string model = "/model/layers=" + std::to_string(shape.layers);
  ThreadPool* pool = options.cases ? options.cases->options().pool : nullptr;
  benchmarks.push_back(ratio_benchmark("stage/threads/wq", at_least(1.5, "one thread"),
                                       [wq, pool] { return against_one_thread(wq, pool); }));
  // What more threads give at all: where two are one core's, staging cannot gain more than memcpy does.
  const std::int64_t bytes = 3 * q * d;
  benchmarks.push_back(ratio_benchmark("stage/threads/memcpy", beside("one thread"),
                                       [bytes, pool] { return memcpy_on_threads(bytes, pool); }));
  benchmarks.push_back(
      ratio_benchmark("restage" + model, beside("forward and backward slots apart"),
                      [layer, shape, pool] { return one_pass_against_two(layer, shape.layers, pool); }));
  return benchmarks;
}

}  // namespace aneval::bench
