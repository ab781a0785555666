// Small programs that are put to a device by themselves: what probes and benchmarks of the engine have in common.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "ane/device.h"
#include "ane/mil/builder.h"

namespace aneval::validate {

/// One input and one output of fp16, called `out`, with the surfaces that their types ask for.
ane::ProgramSource source_of(const mil::BuiltProgram& program, const std::string& name);

/// Compiled, loaded, and bound to surfaces of its own. Compilers of M1 and M2 are reported to take the legacy dialect
/// only, and one M1 the modern one: where the family says so, the legacy text is tried second.
std::shared_ptr<ane::Request> ready_request(ane::Device& device, const mil::BuiltProgram& program,
                                            const std::string& name);

/// `depth` 1x1 convolutions one after the other, channels to channels, on `spatial` columns, with the weights baked
/// into the program.
struct ConvChain {
  std::int64_t channels = 256, depth = 1, spatial = 64;
  std::optional<float> weight = {};  // the same everywhere; without it N(0, 1/channels), other numbers in every layer

  double flops() const;
  double weight_bytes() const;
};

mil::BuiltProgram conv_chain(const ConvChain& chain);

}  // namespace aneval::validate
