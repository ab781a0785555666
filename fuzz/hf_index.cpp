// model.safetensors.index.json of a folder of Hugging Face's layout: the input is the index, two shards lie beside it
// (attention and embedding in the first, the rest in the second). A model that is accepted has all its tensors.
#include "common/safetensors.h"
#include "fuzz/model.h"
#include "validate/weights/load_weights.h"

namespace {

using namespace aneval;
namespace fs = std::filesystem;

/// Made once in a process, and removed at its end.
class Shards {
 public:
  Shards() : folder_(fuzz::temporary_path("-model")) {
    fs::create_directory(folder_);
    const ModelShape m = fuzz::tiny_shape();
    const std::string layer = "model.layers.0.";
    write_safetensors(folder_ / "a.safetensors", {{"model.embed_tokens.weight", Tensor({m.vocab, m.dim})},
                                                  {layer + "self_attn.q_proj.weight", Tensor({m.q_dim(), m.dim})},
                                                  {layer + "self_attn.k_proj.weight", Tensor({m.kv_dim(), m.dim})},
                                                  {layer + "self_attn.v_proj.weight", Tensor({m.kv_dim(), m.dim})},
                                                  {layer + "self_attn.o_proj.weight", Tensor({m.dim, m.q_dim()})}});
    write_safetensors(folder_ / "b.safetensors", {{"model.norm.weight", Tensor({m.dim})},
                                                  {layer + "input_layernorm.weight", Tensor({m.dim})},
                                                  {layer + "post_attention_layernorm.weight", Tensor({m.dim})},
                                                  {layer + "mlp.gate_proj.weight", Tensor({m.hidden, m.dim})},
                                                  {layer + "mlp.up_proj.weight", Tensor({m.hidden, m.dim})},
                                                  {layer + "mlp.down_proj.weight", Tensor({m.dim, m.hidden})}});
  }
  ~Shards() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  const fs::path& folder() const { return folder_; }
  void set_index(std::string_view text) const { fuzz::write_input(folder_ / "model.safetensors.index.json", text); }

 private:
  fs::path folder_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Shards shards;
  shards.set_index(fuzz::text_of(data, size));
  fuzz::accepted([&] { fuzz::check_model(validate::load_weights(shards.folder(), fuzz::tiny_shape()).model); });
  return 0;
}
