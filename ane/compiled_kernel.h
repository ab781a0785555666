// A kernel made ready on a device: its layout, its program (built in, or read from a folder), the compiled executable.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "ane/device.h"
#include "ane/kernels/kernel.h"

namespace aneval::ane {

struct CompiledKernel {
  std::string name;
  KernelConfig config;
  PackedLayout layout;
  mil::BuiltProgram program;
  bool external = false;  // read from a folder: rows carry variant `external`
  std::shared_ptr<Executable> executable;

  bool has_weights() const;  // on its input surface
  ProgramSource source() const;
};

/// The program of `DIR/<kernel>.mil` with the weight files it names (under DIR/weights/), or nothing when that file
/// does not exist. Errors: unreadable or malformed text, missing or escaping weight paths, a signature that is not the
/// layout's.
std::optional<mil::BuiltProgram> read_external_program(const std::filesystem::path& folder, const std::string& kernel,
                                                       const PackedLayout& layout);

/// The weight files that a program's BLOBFILE values name; "@model_path/" means `folder`. Errors: a path that leaves
/// the folder, a file that cannot be read.
WeightFiles read_weight_files(const mil::Program& program, const std::filesystem::path& folder);

/// Where kernels' programs come from.
struct ProgramOptions {
  std::filesystem::path programs;  // --programs DIR; empty: built-in programs
};

/// Layout and program, without a device.
CompiledKernel prepare_kernel(const KernelSpec& spec, const KernelConfig& config, const ProgramOptions& options = {});

/// prepare_kernel, compiled and loaded.
CompiledKernel compile_kernel(Device& device, const KernelSpec& spec, const KernelConfig& config,
                              const ProgramOptions& options = {});

/// A weight that the program holds, as the logical matrix [channels, width] of its slot (fp16 widened, 8 bits times
/// their scale): what the text and the weight files that a device gets say. Throws std::logic_error when the program
/// has no such weight file.
void read_compiled_weight(const CompiledKernel& kernel, const Slot& slot, std::span<float> values);

/// Throws (exit code 1) when any element of the output still equals the poison it was filled with: the engine said yes
/// and wrote nothing there.
void check_no_poison(Request& request, half_t pattern);

/// Fills the output with the poison, evaluates, and checks that none is left. (A layer does the three apart, because it
/// times the evaluation alone.)
void evaluate_poisoned(Device& device, Request& request, half_t pattern);

}  // namespace aneval::ane
