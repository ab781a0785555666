// aneval run: one kernel or one layer on tensors from a file, for cross-checks with other frameworks.
#include <algorithm>
#include <map>

#include "ane/staging.h"
#include "cli/command.h"
#include "common/error.h"
#include "common/files.h"
#include "common/names.h"
#include "common/safetensors.h"
#include "reference/convert.h"
#include "validate/layer_check.h"
#include "validate/weights/weights.h"

namespace aneval::cli {
namespace {

struct RunOptions {
  DeviceOptions device;
  std::string op, tensors, out;
  std::int64_t ic = 0, oc = 0;
};

using Shapes = std::map<std::string, std::vector<std::int64_t>>;

/// Every tensor of `shapes`, checked; others of the file are ignored.
NamedTensors take_tensors(NamedTensors all, const Shapes& shapes, const std::string& file) {
  NamedTensors taken;
  for (const auto& [name, shape] : shapes) taken[name] = std::move(validate::require_tensor(all, name, shape, file));
  return taken;
}

Shapes layer_shapes(const ModelShape& s, bool backward) {
  Shapes shapes = {{"x", {s.dim, s.seq}},       {"wq", {s.q_dim(), s.dim}}, {"wk", {s.kv_dim(), s.dim}},
                   {"wv", {s.kv_dim(), s.dim}}, {"wo", {s.dim, s.q_dim()}}, {"w1", {s.hidden, s.dim}},
                   {"w2", {s.dim, s.hidden}},   {"w3", {s.hidden, s.dim}},  {"rms_att", {s.dim}},
                   {"rms_ffn", {s.dim}}};
  if (backward) shapes["dy"] = {s.dim, s.seq};
  return shapes;
}

NamedTensors run_layer(const RunOptions& o, const validate::Case& c, NamedTensors tensors, bool backward) {
  if (!backward) tensors["dy"] = Tensor({c.shape.dim, c.shape.seq});  // zeros: the forward results do not depend on it
  NamedTensors results;
  if (o.device.backend == "reference") {
    results = validate::run_layer_on_reference<float>(c, tensors);
  } else {
    Session session = open_session(o.device);
    const validate::CheckOptions check = check_options(o.device, session);
    results = validate::run_layer_on_device(check, c, tensors);
  }
  if (!backward) std::erase_if(results, [](const auto& entry) { return entry.first != "y"; });
  return results;
}

NamedTensors kernel_on_reference(const validate::Case& c, const ane::PackedLayout& layout,
                                 const NamedTensors& tensors) {
  const auto outputs = reference::KernelTable::builtin().find(c.kernel).in_float(
      c.shape, validate::reference_options(c.variant), reference::to_matrices<float>(tensors));
  NamedTensors results;
  for (const ane::Block& block : layout.blocks()) results[block.name] = reference::to_tensor(outputs.at(block.name));
  return results;
}

NamedTensors kernel_on_device(const RunOptions& o, const validate::Case& c, const NamedTensors& tensors) {
  Session session = open_session(o.device);
  ane::Device& device = *session.device;
  const auto kernel = ane::compile_kernel(device, ane::KernelRegistry::builtin().find(c.kernel),
                                          validate::kernel_config(c), o.device.program_options());
  const auto input = device.create_surface(static_cast<std::size_t>(kernel.layout.input_bytes()));
  const auto output = device.create_surface(static_cast<std::size_t>(kernel.layout.output_bytes()));
  for (const auto& [slot, tensor] : tensors) ane::write_slot(kernel.layout, slot, tensor.data, *input);
  const auto request = device.make_request(kernel.executable, input, output);
  ane::evaluate_poisoned(device, *request, ane::kPoison[0]);
  NamedTensors results;
  for (const ane::Block& block : kernel.layout.blocks()) {
    Tensor tensor({block.channels.size(), block.width.size()});
    ane::read_block(kernel.layout, block.name, *output, tensor.data);
    results[block.name] = std::move(tensor);
  }
  return results;
}

int run_command(const RunOptions& o) {
  check_writable(o.out);
  validate::Case c;
  c.kernel = o.op;
  c.shape = o.device.shape();
  c.variant = o.device.parsed_variant();
  c.ic = o.ic;
  c.oc = o.oc;
  const bool backward = o.op == "layer_backward";
  NamedTensors results;
  if (o.op == "layer_forward" || backward) {
    results = run_layer(
        o, c, take_tensors(validate::read_tensors(o.tensors), layer_shapes(c.shape, backward), o.tensors), backward);
  } else {
    const auto registry = ane::KernelRegistry::builtin();
    std::vector<std::string> known = {"layer_forward", "layer_backward"};
    for (const ane::KernelSpec& spec : registry.all()) known.push_back(spec.name);
    if (std::find(known.begin(), known.end(), o.op) == known.end()) unknown_name("operation", o.op, known);
    const ane::PackedLayout layout = registry.find(o.op).layout(validate::kernel_config(c));
    Shapes shapes;
    for (const ane::Slot& slot : layout.operands()) shapes[slot.name] = {slot.channels.size(), slot.width.size()};
    const NamedTensors tensors = take_tensors(validate::read_tensors(o.tensors), shapes, o.tensors);
    results =
        o.device.backend == "reference" ? kernel_on_reference(c, layout, tensors) : kernel_on_device(o, c, tensors);
  }
  write_safetensors(o.out, results);
  return 0;
}

}  // namespace

void add_run(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("run", "one kernel or one layer on tensors from a file");
  auto options = std::make_shared<RunOptions>();
  add_device_options(*command, options->device);
  command->add_option("--op", options->op, "layer_forward, layer_backward, or a kernel")
      ->type_name("KERNEL|layer_forward|layer_backward")
      ->required();
  command->add_option("--tensors", options->tensors, "inputs by name (safetensors: F32, F16 or BF16)")
      ->type_name("FILE")
      ->required();
  command->add_option("--out", options->out, "outputs by name (safetensors, F32)")->type_name("FILE")->required();
  command->add_option("--ic", options->ic, "input channels of dynMatmul");
  command->add_option("--oc", options->oc, "output channels of dynMatmul");
  command->callback([options, &action] { action = [options] { return run_command(*options); }; });
}

}  // namespace aneval::cli
