// Execution of small MIL programs on the emulator, with IEEE arithmetic and with that of a chip: whatever the checker
// takes runs or is refused, and gives the same bits twice.
//
// Programs beyond the bounds below are not run: the time that a program takes is its author's business, the bounds keep
// an execution at some milliseconds.
#include <cstring>
#include <numeric>

#include "ane/emulator/emulator.h"
#include "ane/emulator/plan.h"
#include "ane/mil/checker.h"
#include "ane/mil/text.h"
#include "fuzz/mil_weights.h"
#include "fuzz/support.h"

namespace {

using namespace aneval;

constexpr std::int64_t kMaxElements = 1 << 16;  // of all buffers together
constexpr double kMaxFlops = 1 << 22;
constexpr std::size_t kMaxSteps = 256;

bool is_small(const mil::Program& program, const ane::WeightFiles& weights) {
  const emulator::Plan plan = emulator::make_plan(program, weights, true);
  std::int64_t elements = 0;
  for (const std::int64_t buffer : plan.buffers)
    if ((elements += std::min(buffer, kMaxElements + 1)) > kMaxElements) return false;
  return plan.steps.size() <= kMaxSteps && mil::matmul_flops(program.main()) <= kMaxFlops;
}

/// Every kind of number, infinities, NaNs and subnormals among them: bit patterns that step through all of them.
StoredTensors inputs_of(const mil::Program& program) {
  StoredTensors inputs;
  for (const mil::Parameter& parameter : program.main().parameters) {
    const bool half = parameter.type.dtype == mil::DType::fp16;
    StoredTensor tensor{half ? "F16" : "F32", parameter.type.shape, {}};
    for (std::int64_t i = 0; i < parameter.type.elements(); ++i) {
      const auto bits = static_cast<std::uint32_t>(0x3C00 + i * 40503);
      const std::uint32_t value = half ? bits : bits * 65537U;
      for (std::size_t byte = 0; byte < (half ? 2 : 4); ++byte)
        tensor.bytes.push_back(static_cast<std::byte>(value >> (8 * byte)));
    }
    inputs.emplace(parameter.name, std::move(tensor));
  }
  return inputs;
}

bool same_bits(const NamedTensors& a, const NamedTensors& b) {
  return std::ranges::equal(a, b, [](const auto& x, const auto& y) {
    const Tensor &s = x.second, &t = y.second;
    return x.first == y.first && s.shape == t.shape && s.data.size() == t.data.size() &&
           std::memcmp(s.data.data(), t.data.data(), s.data.size() * sizeof(float)) == 0;
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::accepted([&] {
    const mil::Program program = mil::parse(fuzz::text_of(data, size), "fuzz.mil");
    const ane::WeightFiles weights = fuzz::mil_weights();
    mil::check_or_throw(program, &weights);
    if (!is_small(program, weights)) return;
    const StoredTensors inputs = inputs_of(program);
    for (const char* name : {"ieee", "h16", "h13"}) {
      const emulator::Profile profile = emulator::find_profile(name);
      fuzz::accepted([&] {
        const NamedTensors first = emulator::run_program(program, weights, inputs, profile, nullptr);
        fuzz::require(same_bits(first, emulator::run_program(program, weights, inputs, profile, nullptr)),
                      "a program gives the same bits twice");
      });
    }
  });
  return 0;
}
