#include "ane/emulator/emulator.h"

#include <cstring>
#include <mutex>

#include "ane/emulator/device_arithmetic.h"
#include "ane/emulator/evaluator.h"
#include "ane/mil/checker.h"
#include "ane/mil/text.h"
#include "common/error.h"

namespace aneval::emulator {
namespace {

using DeviceEvaluator = Evaluator<DeviceArithmetic>;

constexpr std::int64_t kChunk = std::int64_t{1} << 16;  // elements that a thread converts at a time

std::int64_t value_bytes(const PlanValue& value) {
  return value.operand.shape.product() * mil::dtype_bytes(value.operand.dtype);
}

class EmulatedProgram final : public ane::Executable {
 public:
  EmulatedProgram(const ane::ProgramSource& source, std::string hash, const Profile& profile)
      : Executable(source, std::move(hash)), profile_(profile) {
    const mil::Program program = mil::parse(source.mil, source.name);
    mil::check_or_throw(program, &source.weights);
    plan_ = std::make_shared<const Plan>(make_plan(program, source.weights, profile.slice_gain));
    require_rules(*plan_, profile);
    if (plan_->inputs.size() != 1 || plan_->outputs.size() != 1)
      throw input_error("program of " + source.name,
                        "has " + std::to_string(plan_->inputs.size()) + " inputs and " +
                            std::to_string(plan_->outputs.size()) + " outputs",
                        "pack them: a request binds one input and one output surface");
    check_bytes(source, "input", plan_->inputs.front(), source.input_bytes);
    check_bytes(source, "output", plan_->outputs.front(), source.output_bytes);
  }

  void load(ThreadPool* pool) {
    pool_ = pool;
    evaluator_ = std::make_unique<DeviceEvaluator>(plan_, DeviceArithmetic(profile_), pool);
  }

  const Plan& plan() const { return *plan_; }

  void evaluate(ane::Surface& input, ane::Surface& output) {
    // One program serialises within a process, as on the engine: its buffers are shared by all requests.
    const std::lock_guard<std::mutex> lock(mutex_);
    {
      const ane::ReadLock in(input);
      const auto values = evaluator_->input(0);
      if (plan_->inputs.front().operand.dtype == mil::DType::fp16)
        parallel_for(pool_, static_cast<std::int64_t>(values.size()), kChunk,
                     [&](std::int64_t begin, std::int64_t end) {
                       decode_halves(profile_.specials, in.halves().data() + begin, values.data() + begin, end - begin);
                     });
      else
        std::memcpy(values.data(), in.bytes().data(), values.size_bytes());
    }
    evaluator_->run();
    const ane::WriteLock out(output);
    const auto values = evaluator_->output(0);
    if (plan_->outputs.front().operand.dtype == mil::DType::fp16)
      parallel_for(pool_, static_cast<std::int64_t>(values.size()), kChunk, [&](std::int64_t begin, std::int64_t end) {
        encode_halves(profile_.specials, values.data() + begin, out.halves().data() + begin, end - begin);
      });
    else
      std::memcpy(out.bytes().data(), values.data(), values.size_bytes());
  }

 private:
  static void check_bytes(const ane::ProgramSource& source, const char* side, const PlanValue& value,
                          std::size_t expected) {
    const std::int64_t bytes = value_bytes(value);
    if (static_cast<std::size_t>(bytes) != expected)
      throw input_error("program of " + source.name,
                        std::string(side) + " '" + value.name + "' has " + std::to_string(bytes) +
                            " bytes, the layout has " + std::to_string(expected),
                        "give the program the signature of the kernel's layout (`aneval mil emit` prints it)");
  }

  const Profile profile_;
  std::shared_ptr<const Plan> plan_;
  ThreadPool* pool_ = nullptr;
  std::unique_ptr<DeviceEvaluator> evaluator_;
  std::mutex mutex_;
};

class EmulatedRequest final : public ane::Request {
 public:
  EmulatedRequest(std::shared_ptr<ane::Executable> executable, std::shared_ptr<ane::Surface> input,
                  std::shared_ptr<ane::Surface> output)
      : Request(std::move(executable), std::move(input), std::move(output)) {}
};

class Emulator final : public ane::Device {
 public:
  explicit Emulator(const EmulatorOptions& options)
      : Device(options.compile_limit), profile_(find_profile(options.profile)), pool_(options.pool) {
    info_.backend = "emulator";
    info_.chip = options.chip;
    info_.profile = profile_.name;
  }

  const ane::DeviceInfo& info() const override { return info_; }

 protected:
  std::shared_ptr<ane::Surface> do_create_surface(std::size_t bytes) override { return ane::make_host_surface(bytes); }

  std::shared_ptr<ane::Executable> do_compile(const ane::ProgramSource& source, std::string hash) override {
    return std::make_shared<EmulatedProgram>(source, std::move(hash), profile_);
  }

  void do_load(ane::Executable& executable) override { program(executable).load(pool_); }

  std::shared_ptr<ane::Request> do_make_request(std::shared_ptr<ane::Executable> executable,
                                                std::shared_ptr<ane::Surface> input,
                                                std::shared_ptr<ane::Surface> output) override {
    return std::make_shared<EmulatedRequest>(std::move(executable), std::move(input), std::move(output));
  }

  void do_evaluate(ane::Request& request) override {
    program(*request.executable()).evaluate(*request.input(), *request.output());
  }

 private:
  static EmulatedProgram& program(ane::Executable& executable) { return dynamic_cast<EmulatedProgram&>(executable); }

  const Profile profile_;
  ThreadPool* pool_;
  ane::DeviceInfo info_;
};

void fill_input(const PlanValue& input, const StoredTensor& stored, Specials specials, std::span<float> values) {
  const std::string subject = "input tensor '" + input.name + "'";
  Extents shape = extents_of(stored.shape);
  bool equal = shape.rank == input.operand.shape.rank;
  for (int axis = 0; equal && axis < shape.rank; ++axis) equal = shape[axis] == input.operand.shape[axis];
  if (!equal) {
    std::vector<std::int64_t> expected(input.operand.shape.at.begin(),
                                       input.operand.shape.at.begin() + input.operand.shape.rank);
    throw input_error(subject, "has shape " + shape_text(stored.shape), "give it shape " + shape_text(expected));
  }
  const auto n = static_cast<std::int64_t>(values.size());
  if (stored.dtype == "F16") {
    decode_halves(specials, reinterpret_cast<const ane::half_t*>(stored.bytes.data()), values.data(), n);
  } else if (stored.dtype == "F32") {
    std::memcpy(values.data(), stored.bytes.data(), stored.bytes.size());
    if (input.operand.dtype == mil::DType::fp16) {
      std::vector<ane::half_t> bits(values.size());
      ane::to_half(values.data(), bits.data(), n);
      decode_halves(specials, bits.data(), values.data(), n);
    }
  } else {
    throw input_error(subject, "has type " + stored.dtype, "store it as F32 or F16");
  }
}

}  // namespace

std::unique_ptr<ane::Device> make_emulator(const EmulatorOptions& options) {
  return std::make_unique<Emulator>(options);
}

NamedTensors run_program(const mil::Program& program, const ane::WeightFiles& weights, const StoredTensors& inputs,
                         const Profile& profile, ThreadPool* pool) {
  mil::check_or_throw(program, &weights);
  const auto plan = std::make_shared<const Plan>(make_plan(program, weights, profile.slice_gain));
  require_rules(*plan, profile);
  DeviceEvaluator evaluator(plan, DeviceArithmetic(profile), pool);
  for (std::size_t i = 0; i < plan->inputs.size(); ++i) {
    const auto stored = inputs.find(plan->inputs[i].name);
    if (stored == inputs.end())
      throw input_error("input tensor '" + plan->inputs[i].name + "'", "is missing", "add it to the inputs file");
    fill_input(plan->inputs[i], stored->second, profile.specials, evaluator.input(i));
  }
  evaluator.run();
  NamedTensors outputs;
  for (std::size_t i = 0; i < plan->outputs.size(); ++i) {
    const Extents& shape = plan->outputs[i].operand.shape;
    Tensor tensor(std::vector<std::int64_t>(shape.at.begin(), shape.at.begin() + shape.rank));
    const auto values = evaluator.output(i);
    std::copy(values.begin(), values.end(), tensor.data.begin());
    // Outside, infinity is infinity again, and a NaN that was only moved a NaN.
    if (profile.specials == Specials::ordinary && plan->outputs[i].operand.dtype == mil::DType::fp16) {
      std::vector<ane::half_t> bits(values.size());
      encode_halves(profile.specials, values.data(), bits.data(), static_cast<std::int64_t>(bits.size()));
      ane::to_float(bits.data(), tensor.data.data(), static_cast<std::int64_t>(bits.size()));
    }
    outputs[plan->outputs[i].name] = std::move(tensor);
  }
  return outputs;
}

}  // namespace aneval::emulator
