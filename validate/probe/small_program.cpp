#include "validate/probe/small_program.h"

#include <algorithm>
#include <cmath>

#include "ane/mil/conv.h"
#include "ane/mil/family.h"
#include "ane/mil/text.h"
#include "common/random.h"

namespace aneval::validate {
namespace {

std::size_t bytes_of(const mil::TensorType& type) {
  return static_cast<std::size_t>(type.elements() * mil::dtype_bytes(type.dtype));
}

std::shared_ptr<ane::Executable> compiled(ane::Device& device, ane::ProgramSource source, const mil::Program& graph) {
  try {
    return device.compile(source);
  } catch (const ane::DeviceError& error) {
    const auto& known = mil::families();
    const bool legacy = std::any_of(known.begin(), known.end(), [&](const mil::Family& family) {
      return family.name == device.info().family && family.legacy_dialect;
    });
    if (!legacy || error.status() != Status::compile_error) throw;
  }
  source.mil = mil::print(graph, mil::Dialect::legacy);
  return device.compile(source);
}

}  // namespace

ane::ProgramSource source_of(const mil::BuiltProgram& program, const std::string& name) {
  const mil::Function& function = program.graph.main();
  ane::ProgramSource source;
  source.name = name;
  source.mil = program.text;
  source.weights = program.weights;
  source.input_bytes = bytes_of(function.parameters.front().type);
  source.output_bytes = bytes_of(function.find("out")->type);
  return source;
}

std::shared_ptr<ane::Request> ready_request(ane::Device& device, const mil::BuiltProgram& program,
                                            const std::string& name) {
  const ane::ProgramSource source = source_of(program, name);
  const auto executable = compiled(device, source, program.graph);
  device.load(*executable);
  return device.make_request(executable, device.create_surface(source.input_bytes),
                             device.create_surface(source.output_bytes));
}

double ConvChain::flops() const {
  return 2.0 * static_cast<double>(channels) * static_cast<double>(channels) * static_cast<double>(spatial * depth);
}

double ConvChain::weight_bytes() const {
  return 2.0 * static_cast<double>(channels) * static_cast<double>(channels) * static_cast<double>(depth);
}

mil::BuiltProgram conv_chain(const ConvChain& chain) {
  mil::Builder builder;
  mil::Value x = builder.input("packed", {1, chain.channels, 1, chain.spatial});
  // The numbers go straight into the files: the builder would keep exact copies, four times their size.
  ane::WeightFiles files;
  for (std::int64_t layer = 0; layer < chain.depth; ++layer) {
    const std::string name = "weight" + std::to_string(layer);
    std::vector<float> weights(static_cast<std::size_t>(chain.channels * chain.channels), chain.weight.value_or(0));
    if (!chain.weight) Random(1, name).fill_normal(weights, 1 / std::sqrt(static_cast<double>(chain.channels)));
    ane::BlobWriter writer;
    writer.add(std::span<const float>(weights));
    files["@model_path/weights/" + name + ".bin"] = writer.finish();
    x = conv_1x1(builder, x, builder.absent_weights(name, {chain.channels, chain.channels, 1, 1}), std::nullopt,
                 "conv" + std::to_string(layer));
  }
  mil::BuiltProgram program = builder.finish(x, "out");
  program.weights = std::move(files);
  return program;
}

}  // namespace aneval::validate
