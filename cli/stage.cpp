// aneval stage: the staged input surface of a kernel as raw bytes, so that a trainer can compare its own surfaces byte
// for byte.
#include "ane/staging.h"

#include "cli/command.h"
#include "common/error.h"
#include "common/files.h"
#include "validate/kernel_check.h"
#include "validate/weights.h"

namespace aneval::cli {
namespace {

struct StageOptions {
  DeviceOptions device;
  std::string kernel, tensors, out;
  std::int64_t ic = 0, oc = 0;
};

int stage_command(const StageOptions& o) {
  check_writable(o.out);
  const ane::KernelConfig config{o.device.shape(), o.device.parsed_variant(), o.ic, o.oc};
  const ane::PackedLayout layout = ane::KernelRegistry::builtin().find(o.kernel).layout(config);
  const NamedTensors tensors = validate::read_tensors(o.tensors);
  for (const ane::Slot& slot : layout.slots()) {
    if (slot.kind == ane::SlotKind::weight) continue;  // stage_weights checks those
    const auto found = tensors.find(slot.name);
    const std::vector<std::int64_t> shape = {slot.channels.size(), slot.width.size()};
    if (found == tensors.end())
      throw input_error(o.tensors, "has no tensor '" + slot.name + "'", "store it with shape " + shape_text(shape));
    if (found->second.shape != shape)
      throw input_error(o.tensors, "tensor '" + slot.name + "' has shape " + shape_text(found->second.shape),
                        "it must have shape " + shape_text(shape));
  }
  const auto surface = ane::make_host_surface(static_cast<std::size_t>(layout.input_bytes()));
  ane::stage_weights(layout, tensors, *surface);
  for (const ane::Slot& slot : layout.slots())
    if (slot.kind == ane::SlotKind::activation)
      ane::write_slot(layout, slot.name, tensors.at(slot.name).data, *surface);
  const ane::ReadLock lock(*surface);
  write_file(o.out, lock.bytes());
  return 0;
}

}  // namespace

void add_stage(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("stage", "the staged input surface of a kernel as raw bytes");
  auto options = std::make_shared<StageOptions>();
  command->add_option("--kernel", options->kernel, "`aneval list kernels`")->required();
  command->add_option("--model", options->device.model, "model shape: a name of `aneval list models`, or a .json file");
  command->add_option("--seq", options->device.seq, "tokens per evaluation, instead of the model's");
  command->add_option("--variant", options->device.variant, "key=value;key=value (`aneval list variants`)");
  command->add_option("--tensors", options->tensors, "weights in natural orientation and activation slots")->required();
  command->add_option("--out", options->out, "raw fp16 surface, little endian")->required();
  command->add_option("--ic", options->ic, "input channels of dynMatmul");
  command->add_option("--oc", options->oc, "output channels of dynMatmul");
  command->callback([options, &action] { action = [options] { return stage_command(*options); }; });
}

}  // namespace aneval::cli
