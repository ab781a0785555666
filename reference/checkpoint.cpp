// Reads llama2.c checkpoints of version 0: a header of seven int32 and fp32 arrays, no magic number and no names, so
// that only the size of the file tells whether the header is one.
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <optional>

#include "common/error.h"
#include "common/files.h"
#include "reference/llama2c.h"

namespace aneval::reference {

namespace {

static_assert(std::endian::native == std::endian::little, "the files are read as they lie in memory");

constexpr std::int64_t kHeaderBytes = 28;  // seven int32
constexpr std::string_view kExport = "export the model with llama2.c's version 0 format";

struct Header {
  std::int32_t dim, hidden, layers, heads, kv_heads, vocab, seq;

  static Header of(const std::byte* bytes) {
    static_assert(sizeof(Header) == kHeaderBytes);
    Header header;
    std::memcpy(&header, bytes, sizeof header);
    return header;
  }

  /// What makes the header impossible, empty when nothing does.
  std::string problem() const {
    const std::pair<const char*, std::int32_t> positive[] = {
        {"dim", dim},       {"hidden_dim", hidden},   {"n_layers", layers},
        {"n_heads", heads}, {"n_kv_heads", kv_heads}, {"seq_len", seq}};
    for (const auto& [name, value] : positive)
      if (value <= 0) return std::string(name) + " is " + std::to_string(value);
    if (vocab == 0 || vocab == INT32_MIN) return "vocab_size is " + std::to_string(vocab);
    if (dim % heads != 0) return "dim " + std::to_string(dim) + " is no multiple of n_heads " + std::to_string(heads);
    if ((dim / heads) % 2 != 0) return "the head dimension " + std::to_string(dim / heads) + " is odd";
    if (heads % kv_heads != 0)
      return "n_heads " + std::to_string(heads) + " is no multiple of n_kv_heads " + std::to_string(kv_heads);
    return "";
  }

  /// Of a header without a problem.
  ModelShape shape() const {
    ModelShape shape;
    shape.dim = dim;
    shape.hidden = hidden;
    shape.heads = heads;
    shape.kv_heads = kv_heads;
    shape.head_dim = dim / heads;
    shape.seq = seq;
    shape.layers = layers;
    shape.vocab = std::abs(vocab);
    shape.residual_scale = 1.0;
    return shape;
  }
};

/// One array of the file; with `per_layer` one for every layer, one after the other.
struct Array {
  std::string name;  // empty: to be skipped
  std::vector<std::int64_t> shape;
  bool per_layer = false;
};

std::vector<Array> arrays_of(const Header& header) {
  const ModelShape s = header.shape();
  std::vector<Array> arrays = {
      {"embedding", {s.vocab, s.dim}},
      {"rms_att", {s.dim}, true},
      {"wq", {s.q_dim(), s.dim}, true},
      {"wk", {s.kv_dim(), s.dim}, true},
      {"wv", {s.kv_dim(), s.dim}, true},
      {"wo", {s.dim, s.q_dim()}, true},
      {"rms_ffn", {s.dim}, true},
      {"w1", {s.hidden, s.dim}, true},
      {"w2", {s.dim, s.hidden}, true},
      {"w3", {s.hidden, s.dim}, true},
      {"rms_final", {s.dim}},
      {"", {2, s.seq, s.head_dim / 2}},  // cos and sin of RoPE, which follow from the shape
  };
  if (header.vocab < 0) arrays.push_back({"classifier", {s.vocab, s.dim}});
  return arrays;
}

/// The size of the whole file; nothing when it does not fit 64 bits.
std::optional<std::int64_t> file_bytes(const Header& header) {
  std::int64_t total = kHeaderBytes;
  for (const Array& array : arrays_of(header)) {
    std::int64_t bytes = array.per_layer ? 4 * std::int64_t{header.layers} : 4;
    for (const std::int64_t n : array.shape)
      if (__builtin_mul_overflow(bytes, n, &bytes)) return std::nullopt;
    if (__builtin_add_overflow(total, bytes, &total)) return std::nullopt;
  }
  return total;
}

/// A guess at what a file is that cannot be a checkpoint of version 0, for the message.
std::string foreign_kind(const std::vector<std::byte>& content) {
  const auto starts_with = [&](std::size_t at, std::string_view text) {
    return content.size() >= at + text.size() && std::memcmp(content.data() + at, text.data(), text.size()) == 0;
  };
  if (starts_with(0, "GGUF")) return "it is a GGUF file";
  if (starts_with(0, "24ka")) return "it is a llama2.c checkpoint of version 1 or 2";
  if (starts_with(0, "PK\x03\x04")) return "it is a zip archive, such as a PyTorch checkpoint";
  if (starts_with(8, "{\"")) return "it is a safetensors file";
  return "";
}

[[noreturn]] void not_a_checkpoint(const std::filesystem::path& file, const std::vector<std::byte>& content,
                                   const std::string& problem) {
  const std::string kind = foreign_kind(content);
  throw input_error(file.string(), kind.empty() ? "not a llama2.c checkpoint, " + problem : kind, std::string(kExport));
}

Tensor take(const std::byte*& cursor, const Array& array, const std::filesystem::path& file) {
  Tensor tensor(array.shape);
  std::memcpy(tensor.data.data(), cursor, tensor.data.size() * sizeof(float));
  cursor += tensor.data.size() * sizeof(float);
  for (const float value : tensor.data)
    if (!std::isfinite(value))
      throw input_error(file.string(), "a value of " + array.name + " is not finite", "take an undamaged file");
  return tensor;
}

}  // namespace

Model read_llama2c(const std::filesystem::path& file) {
  const std::vector<std::byte> content = read_file(file);
  const std::int64_t size = static_cast<std::int64_t>(content.size());
  if (size < kHeaderBytes) not_a_checkpoint(file, content, "its " + std::to_string(size) + " bytes hold no header");
  const Header header = Header::of(content.data());
  if (const std::string problem = header.problem(); !problem.empty()) not_a_checkpoint(file, content, problem);
  const std::optional<std::int64_t> expected = file_bytes(header);
  if (!expected) not_a_checkpoint(file, content, "the sizes of its header overflow 64 bits");
  if (size != *expected)
    throw input_error(file.string(),
                      "its header asks for " + std::to_string(*expected) + " bytes, and it has " +
                          std::to_string(size) +
                          (size < *expected ? " (truncated or foreign)" : " (trailing bytes or foreign)"),
                      std::string(kExport));

  Model model;
  model.shape = header.shape();
  model.shape.name = file.stem().string();
  check_shape(model.shape, file.string());
  model.layers.resize(static_cast<std::size_t>(header.layers));
  const std::byte* cursor = content.data() + kHeaderBytes;
  for (const Array& array : arrays_of(header)) {
    if (array.name.empty()) {
      cursor += 4 * Tensor::element_count(array.shape);
    } else if (array.per_layer) {
      for (NamedTensors& layer : model.layers) layer.emplace(array.name, take(cursor, array, file));
    } else {
      model.globals.emplace(array.name, take(cursor, array, file));
    }
  }
  return model;
}

bool looks_like_llama2c(const std::filesystem::path& file) {
  std::error_code failed;
  const std::uintmax_t size = std::filesystem::file_size(file, failed);
  std::ifstream stream(file, std::ios::binary);
  std::byte bytes[kHeaderBytes];
  if (failed || !stream.read(reinterpret_cast<char*>(bytes), kHeaderBytes)) return false;
  const Header header = Header::of(bytes);
  if (!header.problem().empty()) return false;
  const std::optional<std::int64_t> expected = file_bytes(header);
  return expected && static_cast<std::uintmax_t>(*expected) == size;
}

}  // namespace aneval::reference
