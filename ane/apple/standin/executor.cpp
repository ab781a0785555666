#include "ane/apple/standin/executor.h"

#include <cstdlib>

#include "ane/emulator/emulator.h"
#include "ane/mil/text.h"
#include "common/thread_pool.h"

namespace aneval::standin {
namespace {

/// Somebody else's memory as a surface of the emulator.
class Borrowed final : public ane::Surface {
 public:
  explicit Borrowed(std::span<std::byte> memory) : memory_(memory) {}
  std::size_t bytes() const override { return memory_.size(); }

 protected:
  std::byte* lock(bool) override { return memory_.data(); }
  void unlock(bool) noexcept override {}

 private:
  std::span<std::byte> memory_;
};

std::size_t bytes_of(const mil::TensorType& type) {
  return static_cast<std::size_t>(type.elements() * mil::dtype_bytes(type.dtype));
}

/// As many bytes as a program's only parameter and result have; anything else the emulator refuses by itself.
ane::ProgramSource source_of(std::string_view text, const ane::WeightFiles& weights) {
  ane::ProgramSource source{"the framework's program", std::string(text), weights};
  const mil::Program program = mil::parse(text, source.name);
  const mil::Function& main = program.main();
  if (!main.parameters.empty()) source.input_bytes = bytes_of(main.parameters.front().type);
  if (!main.results.empty())
    if (const mil::Operation* result = main.find(main.results.front())) source.output_bytes = bytes_of(result->type);
  return source;
}

class EmulatorExecutor final : public Executor {
 public:
  EmulatorExecutor(std::string_view mil, const ane::WeightFiles& weights)
      : device_(emulator::make_emulator(options())), executable_(device_->compile(source_of(mil, weights))) {
    device_->load(*executable_);
  }

  std::size_t input_bytes() const override { return executable_->input_bytes(); }
  std::size_t output_bytes() const override { return executable_->output_bytes(); }

  void run(std::span<std::byte> input, std::span<std::byte> output) override {
    const auto request = device_->make_request(executable_, std::make_shared<Borrowed>(input.first(input_bytes())),
                                               std::make_shared<Borrowed>(output.first(output_bytes())));
    device_->evaluate(*request);
  }

 private:
  static emulator::EmulatorOptions options() {
    static ThreadPool threads(0);
    emulator::EmulatorOptions options;
    options.profile = profile_name();
    options.pool = &threads;
    return options;
  }

  std::unique_ptr<ane::Device> device_;
  std::shared_ptr<ane::Executable> executable_;
};

}  // namespace

std::unique_ptr<Executor> Executor::make(std::string_view mil, const ane::WeightFiles& weights) {
  return std::make_unique<EmulatorExecutor>(mil, weights);
}

std::string profile_name() {
  const char* name = std::getenv("ANEVAL_STANDIN_PROFILE");
  return name != nullptr && *name != '\0' ? name : std::string(emulator::kDefaultProfile);
}

}  // namespace aneval::standin
