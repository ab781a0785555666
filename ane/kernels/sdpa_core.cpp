// sdpaCore: causal attention with grouped heads, of queries and keys that RoPE rotated on the CPU (rope=cpu). Slots lie
// along the channels.
#include "ane/kernels/attention.h"

namespace aneval::ane {

namespace {

mil::BuiltProgram program(const KernelConfig& config, const PackedLayout& layout) {
  Parts p(config, layout);
  const mil::Value q = p.split_heads(p.slot("q_rope"), "q"), k = p.split_heads(p.slot("k_rope"), "k");
  return p.finish({attend(p, q, k, p.slot("v"))});
}

}  // namespace

KernelSpec sdpa_core() {
  return {"sdpaCore", "causal attention of rotated queries and keys",
          [](const KernelConfig& c) {
            const Axes a = Axes::of(c.shape, c.variant);
            return PackedLayout::along_channels(
                {activation_slot("q_rope", a.q, a.seq), activation_slot("k_rope", a.kv, a.seq),
                 activation_slot("v", a.kv, a.seq)},
                {output_block("attn", a.q, a.seq)});
          },
          program};
}

}  // namespace aneval::ane
