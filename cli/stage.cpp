// aneval stage: the staged input surface of a kernel as raw bytes, so that a trainer can compare its own surfaces byte
// for byte.
#include "ane/staging.h"

#include "cli/command.h"
#include "common/error.h"
#include "common/files.h"
#include "validate/kernel_check.h"
#include "validate/weights/weights.h"

namespace aneval::cli {
namespace {

struct StageOptions {
  KernelOptions instance;
  std::string tensors, out;
};

int stage_command(const StageOptions& o) {
  check_writable(o.out);
  const ane::KernelConfig config = o.instance.config();
  const ane::PackedLayout layout = ane::KernelRegistry::builtin().find(o.instance.kernel).layout(config);
  NamedTensors tensors = validate::read_tensors(o.tensors);
  for (const ane::Slot& slot : layout.slots())  // stage_weights checks the weights
    if (slot.kind == ane::SlotKind::activation)
      (void)validate::require_tensor(tensors, slot.name, {slot.channels.size(), slot.width.size()}, o.tensors);
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
  add_kernel_options(*command, options->instance);
  command->add_option("--tensors", options->tensors, "weights in natural orientation and activation slots")
      ->type_name("FILE")
      ->required();
  command->add_option("--out", options->out, "raw fp16 surface, little endian")->type_name("FILE")->required();
  command->callback([options, &action] { action = [options] { return stage_command(*options); }; });
}

}  // namespace aneval::cli
