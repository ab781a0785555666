#include "ane/compiled_kernel.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <stdexcept>

#include "ane/kernels/parts.h"
#include "ane/mil/checker.h"
#include "ane/mil/text.h"
#include "ane/weight_constants.h"
#include "common/error.h"
#include "common/files.h"
#include "common/tensor.h"

namespace aneval::ane {
namespace {

constexpr std::string_view kModelPath = "@model_path/";
constexpr std::uintmax_t kMaxProgramBytes = std::uintmax_t{64} << 20;  // the largest generated text has about 30 kB
constexpr std::uintmax_t kMaxWeightBytes = std::uintmax_t{4} << 30;

std::set<std::string> blob_paths(const mil::Program& program) {
  std::set<std::string> paths;
  for (const mil::Function& function : program.functions)
    for (const mil::Operation& operation : function.operations)
      for (const mil::Attribute& attribute : operation.attributes)
        if (const auto* blob = std::get_if<mil::BlobFile>(&attribute.literal.value)) paths.insert(blob->path);
  return paths;
}

void check_signature(const mil::Program& program, const PackedLayout& layout, const std::string& kernel) {
  const mil::Function& function = program.main();
  const auto demand = [&](bool holds, const std::string& what, const mil::TensorType* found, const mil::Shape& shape) {
    if (holds) return;
    throw input_error(program.file,
                      "its " + what + (found != nullptr ? " is " + mil::type_text(*found) : " is not a single tensor"),
                      "the layout of " + kernel + " needs " + mil::type_text({mil::DType::fp16, shape}) +
                          " (`aneval mil emit --kernel " + kernel + "` prints such a program)");
  };
  const mil::Shape in = {1, layout.input_channels(), 1, layout.input_width()};
  const mil::Shape out = {1, layout.output_channels(), 1, layout.output_width()};
  demand(function.parameters.size() == 1, "input", nullptr, in);
  const mil::TensorType& input = function.parameters.front().type;
  demand(input == mil::TensorType{mil::DType::fp16, in}, "input", &input, in);
  demand(function.results.size() == 1, "output", nullptr, out);
  const mil::Operation* result = function.find(function.results.front());
  demand(result != nullptr && result->type == mil::TensorType{mil::DType::fp16, out}, "output",
         result != nullptr ? &result->type : nullptr, out);
}

}  // namespace

bool CompiledKernel::has_weights() const {
  return std::any_of(layout.slots().begin(), layout.slots().end(),
                     [](const Slot& slot) { return slot.kind == SlotKind::weight; });
}

ProgramSource CompiledKernel::source() const {
  return {name,
          program.text,
          program.weights,
          static_cast<std::size_t>(layout.input_bytes()),
          static_cast<std::size_t>(layout.output_bytes()),
          fmt::format("{}, S {}", config.shape.name, config.shape.seq)};
}

WeightFiles read_weight_files(const mil::Program& program, const std::filesystem::path& folder) {
  WeightFiles files;
  for (const std::string& path : blob_paths(program)) {
    const std::string relative = path.starts_with(kModelPath) ? path.substr(kModelPath.size()) : path;
    const std::filesystem::path inside = std::filesystem::path(relative).lexically_normal();
    if (inside.is_absolute() || inside.empty() || *inside.begin() == "..")
      throw input_error(program.file, "its weight path '" + path + "' leaves the folder of the program",
                        "use @model_path/weights/NAME.bin");
    files[path] = read_file(folder / inside, kMaxWeightBytes);
  }
  return files;
}

std::optional<mil::BuiltProgram> read_external_program(const std::filesystem::path& folder, const std::string& kernel,
                                                       const PackedLayout& layout) {
  const std::filesystem::path file = folder / (kernel + ".mil");
  if (!std::filesystem::exists(file)) return std::nullopt;
  mil::BuiltProgram program;
  program.text = read_text_file(file, kMaxProgramBytes);
  program.graph = mil::parse(program.text, file.string());
  program.weights = read_weight_files(program.graph, folder);
  mil::check_or_throw(program.graph, &program.weights);
  check_signature(program.graph, layout, kernel);
  return program;
}

CompiledKernel prepare_kernel(const KernelSpec& spec, const KernelConfig& config, const ProgramOptions& options) {
  PackedLayout layout = spec.layout(config);
  if (!options.programs.empty()) {
    if (are_constants(config.variant.weights))
      throw input_error("--programs", "a program from a file holds weights of its own, not those of a layer",
                        "choose weights=dynamic for it");
    if (auto external = read_external_program(options.programs, spec.name, layout))
      return {spec.name, config, std::move(layout), std::move(*external), true, nullptr};
  }
  mil::BuiltProgram program = spec.program(config, layout);
  return {spec.name, config, std::move(layout), std::move(program), false, nullptr};
}

CompiledKernel compile_kernel(Device& device, const KernelSpec& spec, const KernelConfig& config,
                              const ProgramOptions& options) {
  CompiledKernel kernel = prepare_kernel(spec, config, options);
  kernel.executable = device.compile(kernel.source());
  device.load(*kernel.executable);
  return kernel;
}

void read_compiled_weight(const CompiledKernel& kernel, const Slot& slot, std::span<float> values) {
  const mil::Function& function = kernel.program.graph.main();
  const mil::Operation* constant = function.find(slot.name);
  const bool turned = constant == nullptr;  // a convolution's, which sums over the slot's channels
  if (turned) constant = function.find(turned_name(slot.name));
  const std::int64_t rows = slot.channels.padded_size(), width = slot.width.padded_size();
  const auto elements = static_cast<std::size_t>(rows * width);
  const auto blob_of = [&](const char* key, std::uint64_t bytes) {
    const mil::Attribute* value = constant == nullptr ? nullptr : constant->attribute(key);
    const auto* named = value == nullptr ? nullptr : std::get_if<mil::BlobFile>(&value->literal.value);
    const auto file = named == nullptr ? kernel.program.weights.end() : kernel.program.weights.find(named->path);
    if (named == nullptr || file == kernel.program.weights.end())
      throw std::logic_error("the program of " + kernel.name + " has no weight file for '" + slot.name + "'");
    return read_blob(file->second, named->offset, bytes, named->path).bytes;
  };
  const auto halves = [](std::span<const std::byte> bytes) {
    std::vector<half_t> bits(bytes.size() / 2);
    std::memcpy(bits.data(), bytes.data(), bytes.size());
    std::vector<float> numbers(bits.size());
    to_float(bits.data(), numbers.data(), static_cast<std::int64_t>(bits.size()));
    return numbers;
  };
  std::vector<float> numbers;
  if (slot.eight_bits) {
    const bool columns = slot.outputs == Slot::Outputs::columns;
    const auto integers = blob_of("quantized_data", elements);
    const std::vector<float> scales =
        halves(blob_of("scale", static_cast<std::uint64_t>(2 * (columns ? width : rows))));
    const auto zero = std::get<std::vector<double>>(constant->attribute("zero_point")->literal.value).at(0);
    numbers.resize(elements);
    for (std::size_t i = 0; i < elements; ++i) {
      const auto at = static_cast<std::int64_t>(i);
      numbers[i] = (static_cast<float>(std::to_integer<std::int8_t>(integers[i])) - static_cast<float>(zero)) *
                   scales[static_cast<std::size_t>(columns ? at % width : at / width)];
    }
  } else {
    numbers = halves(blob_of("val", 2 * elements));
  }
  std::size_t i = 0;
  for (std::int64_t c = 0; c < slot.channels.size(); ++c)
    for (std::int64_t w = 0; w < slot.width.size(); ++w) {
      const std::int64_t channel = slot.channels.place(c), column = slot.width.place(w);
      values[i++] = numbers[static_cast<std::size_t>(turned ? column * rows + channel : channel * width + column)];
    }
}

void check_no_poison(Request& request, half_t pattern) {
  if (const std::int64_t stale = count_poison(*request.output(), pattern); stale > 0)
    throw Error(ExitCode::check_failed, "evaluation of " + request.executable()->name(),
                std::to_string(stale) + " output elements still hold the poison",
                "the device reported success without writing them: treat its results as wrong");
}

void evaluate_poisoned(Device& device, Request& request, half_t pattern) {
  poison(*request.output(), pattern);
  device.evaluate(request);
  check_no_poison(request, pattern);
}

}  // namespace aneval::ane
