// The emulator against Eigen's fp32 products of the shapes that its programs multiply: what an evaluation costs beyond
// them, and what it costs to make a program ready.
#include <Eigen/Core>
#include <memory>

#include "ane/compiled_kernel.h"
#include "ane/emulator/emulator.h"
#include "ane/emulator/matrix_product.h"
#include "ane/emulator/memory_plan.h"
#include "ane/layer_plan.h"
#include "ane/mil/text.h"
#include "bench/ratios.h"
#include "common/random.h"

namespace aneval::bench {
namespace {

using emulator::StepKind;

std::vector<float> normal_halves(std::int64_t n) {
  std::vector<float> values(static_cast<std::size_t>(n));
  Random(1, "emulator").fill_normal(values, 0.5);
  std::vector<ane::half_t> bits(values.size());
  ane::to_half(values.data(), bits.data(), n);
  ane::to_float(bits.data(), values.data(), n);
  return values;
}

/// A kernel on a device, with numbers on its surfaces.
class Kernel {
 public:
  Kernel(ane::Device& device, const std::string& name, const ModelShape& shape)
      : device_(device), compiled_(compile(device, name, shape)) {
    request_ = device.make_request(compiled_.executable,
                                   device.create_surface(static_cast<std::size_t>(compiled_.layout.input_bytes())),
                                   device.create_surface(static_cast<std::size_t>(compiled_.layout.output_bytes())));
    const ane::WriteLock input(*request_->input());
    const std::vector<float> values = normal_halves(static_cast<std::int64_t>(input.halves().size()));
    ane::to_half(values.data(), input.halves().data(), static_cast<std::int64_t>(values.size()));
  }

  void poison() { ane::poison(*request_->output(), ane::kPoison[0]); }
  void evaluate() { device_.evaluate(*request_); }
  void check() { ane::check_no_poison(*request_, ane::kPoison[0]); }

  emulator::Plan plan() const {
    return emulator::make_plan(mil::parse(compiled_.program.text, compiled_.name), compiled_.program.weights);
  }

 private:
  static ane::CompiledKernel compile(ane::Device& device, const std::string& name, const ModelShape& shape) {
    ane::KernelConfig config;
    config.shape = shape;
    return ane::compile_kernel(device, ane::KernelRegistry::builtin().find(name), config, {});
  }

  ane::Device& device_;
  ane::CompiledKernel compiled_;
  std::shared_ptr<ane::Request> request_;
};

/// Kernels of a model on a device of their own.
class Kernels {
 public:
  Kernels(const std::string& profile, const std::vector<std::string>& names, const ModelShape& shape, ThreadPool* pool)
      : device_(emulator::make_emulator({.profile = profile, .chip = "", .compile_limit = {}, .pool = pool})) {
    for (const std::string& name : names) kernels_.push_back(std::make_unique<Kernel>(*device_, name, shape));
  }

  const std::vector<std::unique_ptr<Kernel>>& all() const { return kernels_; }

 private:
  std::unique_ptr<ane::Device> device_;
  std::vector<std::unique_ptr<Kernel>> kernels_;
};

/// The products of plans as Eigen likes them best: contiguous rows, packed by itself.
class EigenProducts {
 public:
  explicit EigenProducts(const Kernels& kernels) {
    for (const auto& kernel : kernels.all())
      for (const emulator::Step& step : kernel->plan().steps) {
        if (step.kind != StepKind::matmul) continue;
        const emulator::Extents &left = step.inputs[0].shape, &out = step.output.shape;
        const int last = out.rank - 1;
        Product product;
        product.batches = out.product() / (out[last - 1] * out[last]);
        for (std::int64_t i = 0; i < product.batches; ++i) {
          product.left.emplace_back(random(out[last - 1], left[last]));
          product.right.emplace_back(random(left[last], out[last]));
          product.out.emplace_back(out[last - 1], out[last]);
        }
        products_.push_back(std::move(product));
      }
  }

  /// On several threads each takes columns of its own.
  void run(ThreadPool* pool) {
    const std::int64_t threads = pool != nullptr ? pool->threads() : 1;
    for (Product& product : products_)
      parallel_for(pool, product.batches * threads, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const auto batch = static_cast<std::size_t>(i / threads);
          const std::int64_t all = product.out[batch].cols(), first = all * (i % threads) / threads;
          const std::int64_t count = all * (i % threads + 1) / threads - first;
          product.out[batch].middleCols(first, count).noalias() =
              product.left[batch] * product.right[batch].middleCols(first, count);
        }
      });
  }

 private:
  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  struct Product {
    std::int64_t batches = 0;
    std::vector<Matrix> left, right, out;
  };

  static Matrix random(std::int64_t rows, std::int64_t columns) {
    const std::vector<float> values = normal_halves(rows * columns);
    return Eigen::Map<const Matrix>(values.data(), rows, columns);
  }

  std::vector<Product> products_;
};

/// The emulator's own products alone, on operands that lie as in the program.
class OwnProducts {
 public:
  explicit OwnProducts(const Kernel& kernel)
      : plan_(kernel.plan()),
        memory_plan_(emulator::plan_memory(plan_, emulator::Sharing::none)),
        memory_(normal_halves(memory_plan_.elements)) {}

  void run() {
    for (const emulator::Step& step : plan_.steps)
      if (step.kind == StepKind::matmul)
        emulator::matrix_product(view<const float>(step.inputs[0]), view<const float>(step.inputs[1]),
                                 view<float>(step.output), nullptr);
  }

 private:
  template <class T>
  emulator::TensorView<T> view(const emulator::Operand& operand) {
    return {memory_.data() + memory_plan_.offsets[static_cast<std::size_t>(operand.buffer)] + operand.offset,
            operand.shape, operand.strides};
  }

  emulator::Plan plan_;
  emulator::MemoryPlan memory_plan_;
  std::vector<float> memory_;
};

Subject evaluations(const std::shared_ptr<Kernels>& kernels) {
  Subject subject;
  subject.before = [kernels] {
    for (const auto& kernel : kernels->all()) kernel->poison();
  };
  subject.run = [kernels] {
    for (const auto& kernel : kernels->all()) kernel->evaluate();
  };
  subject.after = [kernels] {
    for (const auto& kernel : kernels->all()) kernel->check();
  };
  return subject;
}

Subject against_eigen(const std::string& profile, const std::vector<std::string>& names, const ModelShape& shape,
                      ThreadPool* pool) {
  const auto kernels = std::make_shared<Kernels>(profile, names, shape, pool);
  Subject subject = evaluations(kernels);
  subject.yardstick = [products = std::make_shared<EigenProducts>(*kernels), pool] { products->run(pool); };
  return subject;
}

Subject against_own_products(const std::string& name, const ModelShape& shape) {
  const auto kernels = std::make_shared<Kernels>("ieee", std::vector<std::string>{name}, shape, nullptr);
  Subject subject = evaluations(kernels);
  subject.yardstick = [products = std::make_shared<OwnProducts>(*kernels->all().front())] { products->run(); };
  return subject;
}

/// Surfaces of 32 elements, which the program doubles.
Subject trivial_evaluation() {
  struct Program {
    std::unique_ptr<ane::Device> device = emulator::make_emulator({.profile = "ieee", .chip = "", .compile_limit = {}});
    std::shared_ptr<ane::Request> request;
  };
  constexpr std::size_t kBytes = 64;
  const auto program = std::make_shared<Program>();
  const auto executable = program->device->compile(
      {"double",
       "program(1.3)\n{\n  func main<ios18>(tensor<fp16, [1, 4, 1, 8]> x) {\n"
       "    tensor<fp16, [1, 4, 1, 8]> y = add(x = x, y = x)[name = string(\"y\")];\n  } -> (y);\n}\n",
       {},
       kBytes,
       kBytes});
  program->device->load(*executable);
  program->request = program->device->make_request(executable, program->device->create_surface(kBytes),
                                                   program->device->create_surface(kBytes));
  Subject subject;
  subject.before = [program] { ane::poison(*program->request->output(), ane::kPoison[0]); };
  subject.run = [program] { program->device->evaluate(*program->request); };
  subject.after = [program] { ane::check_no_poison(*program->request, ane::kPoison[0]); };
  subject.batch = 1000;
  subject.yardstick_ns = 2e3;
  return subject;
}

/// What compiles and loads a kernel's program: parsing, checks, the plan, constants, memory.
Subject making_ready(const std::string& name, const ModelShape& shape) {
  const std::shared_ptr<ane::Device> device =
      emulator::make_emulator({.profile = "ieee", .chip = "", .compile_limit = {}});
  ane::KernelConfig config;
  config.shape = shape;
  const auto source = std::make_shared<ane::ProgramSource>(
      ane::prepare_kernel(ane::KernelRegistry::builtin().find(name), config, {}).source());
  Subject subject;
  subject.run = [device, source] { device->load(*device->compile(*source)); };
  subject.yardstick_ns = 5e6;
  return subject;
}

}  // namespace

std::vector<Benchmark> emulator_ratios(const SuiteOptions& options) {
  const ModelShape shape = load_model_shape("Qwen3-0.6B");
  const std::string eigen = "Eigen's fp32 products of the same shapes";
  ThreadPool* pool = options.cases ? options.cases->options().pool : nullptr;
  std::vector<Benchmark> benchmarks;
  for (const std::string name : {"woFwd", "wotBwd", "ffnBwdW2t", "ffnBwdW13t"}) {
    benchmarks.push_back(ratio_benchmark("emulator/eval/" + name, in_native_builds(at_most(1.25, eigen)),
                                         [=] { return against_eigen("ieee", {name}, shape, nullptr); }));
    benchmarks.push_back(ratio_benchmark("emulator/product_share/" + name,
                                         in_native_builds(at_least(0.85, "the emulator's own products alone")),
                                         [=] { return against_own_products(name, shape); }));
  }
  const std::vector<std::string> layer = ane::layer_plan({}).kernels();
  benchmarks.push_back(ratio_benchmark("emulator/layer", in_native_builds(at_most(1.5, eigen)),
                                       [=] { return against_eigen("ieee", layer, shape, nullptr); }));
  benchmarks.push_back(ratio_benchmark("emulator/layer/threads", in_native_builds(at_most(1.5, eigen)),
                                       [=] { return against_eigen("ieee", layer, shape, pool); }));
  for (const char* profile : {"h13", "h16"})
    benchmarks.push_back(ratio_benchmark("emulator/layer/" + std::string(profile),
                                         beside(eigen, Yardstick::Ratio::time),
                                         [=] { return against_eigen(profile, layer, shape, nullptr); }));
  benchmarks.push_back(ratio_benchmark("emulator/trivial_eval", within("2 us"), trivial_evaluation));
  benchmarks.push_back(ratio_benchmark("emulator/compile_and_load/sdpaFwd", within("5 ms"),
                                       [=] { return making_ready("sdpaFwd", shape); }));
  return benchmarks;
}

}  // namespace aneval::bench
