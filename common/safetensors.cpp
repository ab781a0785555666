// The safetensors format, both directions. Format: https://github.com/huggingface/safetensors (README, "Format").
#include "common/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <stdexcept>

#include "common/error.h"
#include "common/files.h"
#include "common/json_check.h"

namespace aneval {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the format
constexpr std::string_view kMetadata = "__metadata__";  // a map of strings, not a tensor

struct Dtype {
  std::string_view name;
  std::uint64_t bytes;
};
constexpr std::array<Dtype, 15> kDtypes = {{{"BOOL", 1},
                                            {"U8", 1},
                                            {"I8", 1},
                                            {"F8_E5M2", 1},
                                            {"F8_E4M3", 1},
                                            {"I16", 2},
                                            {"U16", 2},
                                            {"F16", 2},
                                            {"BF16", 2},
                                            {"I32", 4},
                                            {"U32", 4},
                                            {"F32", 4},
                                            {"F64", 8},
                                            {"I64", 8},
                                            {"U64", 8}}};

Error broken(const std::string& subject, std::string reason) {
  return input_error(subject, std::move(reason), "write the file again, or check that it was copied completely");
}

/// nlohmann keeps the last of two equal keys; the format forbids them, and so does this.
Json parse_header(const char* begin, const char* end, const std::string& name) {
  check_json_depth({begin, end}, name);
  Json header;
  try {
    header = Json::parse(begin, end);
  } catch (const Json::exception&) {
    throw broken(name, "the header is not JSON");
  }
  if (const auto repeated = repeated_json_key({begin, end}))
    throw broken(fmt::format("{}: tensor '{}'", name, *repeated), "appears twice");
  if (!header.is_object()) throw broken(name, "the header is not a JSON object");
  return header;
}

struct Entry {
  const std::string* name;
  StoredTensor tensor;
  std::uint64_t begin, end;  // in the data
};

/// Product of the dimensions times the element size, or nothing when it does not fit. Zeros do not excuse the other
/// dimensions: Tensor::element_count multiplies them all.
std::optional<std::uint64_t> byte_count(const std::vector<std::int64_t>& shape, std::uint64_t element_bytes) {
  std::uint64_t product = element_bytes;
  bool empty = false;
  for (const std::int64_t dim : shape) {
    if (dim == 0) {
      empty = true;
      continue;
    }
    const auto factor = static_cast<std::uint64_t>(dim);
    if (product > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / factor) return std::nullopt;
    product *= factor;
  }
  return empty ? 0 : product;
}

Entry read_entry(const std::string& name, const Json& json, std::uint64_t data_bytes, const std::string& subject) {
  const auto member = [&](const char* key) -> const Json& {
    const auto found = json.is_object() ? json.find(key) : json.end();
    if (!json.is_object() || found == json.end()) throw broken(subject, fmt::format("'{}' is missing", key));
    return *found;
  };
  Entry entry{&name, {}, 0, 0};

  const Json& dtype = member("dtype");
  const auto known = std::find_if(kDtypes.begin(), kDtypes.end(), [&](const Dtype& candidate) {
    return dtype.is_string() && dtype.get_ref<const std::string&>() == candidate.name;
  });
  if (known == kDtypes.end())
    throw input_error(subject,
                      fmt::format("unknown dtype {}", dtype.dump(-1, ' ', true, Json::error_handler_t::replace)),
                      "convert it to F32, F16 or BF16");
  entry.tensor.dtype = known->name;

  const Json& shape = member("shape");
  if (!shape.is_array()) throw broken(subject, "'shape' is not a list");
  for (const Json& dim : shape) {
    if (!dim.is_number_integer()) throw broken(subject, "a dimension is not a whole number");
    if (!dim.is_number_unsigned()) throw broken(subject, "a dimension is negative");
    if (dim.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      throw broken(subject, "a dimension does not fit in 64 bits");
    entry.tensor.shape.push_back(dim.get<std::int64_t>());
  }
  const std::optional<std::uint64_t> bytes = byte_count(entry.tensor.shape, known->bytes);
  if (!bytes) throw broken(subject, fmt::format("shape {} does not fit in 64 bits", shape_text(entry.tensor.shape)));

  const Json& offsets = member("data_offsets");
  if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
      !offsets[1].is_number_unsigned())
    throw broken(subject, "'data_offsets' is not a pair of offsets");
  entry.begin = offsets[0].get<std::uint64_t>();
  entry.end = offsets[1].get<std::uint64_t>();
  if (entry.begin > entry.end || entry.end > data_bytes)
    throw broken(subject,
                 fmt::format("offsets {} to {} lie outside the {} bytes of data", entry.begin, entry.end, data_bytes));
  if (entry.end - entry.begin != *bytes)
    throw broken(subject, fmt::format("{} bytes for {} {}, which needs {}", entry.end - entry.begin, known->name,
                                      shape_text(entry.tensor.shape), *bytes));
  return entry;
}

void read_metadata(const Json& json, const std::string& name, FileMetadata* metadata) {
  const auto is_text = [](const Json& value) { return value.is_string(); };
  if (!json.is_object() || !std::all_of(json.begin(), json.end(), is_text))
    throw broken(name, "its metadata are no map of texts");
  if (metadata != nullptr) *metadata = json.get<FileMetadata>();
}

/// A tensor on its way into a file; refers to name, shape and bytes.
struct Written {
  std::string_view name, dtype;
  const std::vector<std::int64_t>* shape;
  std::span<const std::byte> bytes;
  std::uint64_t element_bytes;
};

Written written(std::string_view name, std::string_view dtype, const std::vector<std::int64_t>& shape,
                std::span<const std::byte> bytes) {
  const auto known = std::ranges::find(kDtypes, dtype, &Dtype::name);
  const bool negative = std::ranges::any_of(shape, [](std::int64_t dim) { return dim < 0; });
  if (name == kMetadata || negative || known == kDtypes.end() || byte_count(shape, known->bytes) != bytes.size())
    throw std::logic_error(fmt::format("write_safetensors: tensor '{}' of type {} and shape {} with {} bytes", name,
                                       dtype, shape_text(shape), bytes.size()));
  return {name, dtype, &shape, bytes, known->bytes};
}

}  // namespace

StoredTensors parse_safetensors(std::vector<std::byte> content, const std::string& name, FileMetadata* metadata) {
  std::uint64_t header_bytes = 0;
  if (content.size() < sizeof header_bytes) throw broken(name, "too short for a safetensors file");
  std::memcpy(&header_bytes, content.data(), sizeof header_bytes);
  if (header_bytes > kMaxHeaderBytes)
    throw broken(name, fmt::format("a header of {} bytes, above the format's limit of 100 MB", header_bytes));
  if (header_bytes > content.size() - sizeof header_bytes)
    throw broken(name, fmt::format("a header of {} bytes in a file of {}", header_bytes, content.size()));
  const std::byte* data = content.data() + sizeof header_bytes + header_bytes;
  const std::uint64_t data_bytes = content.size() - sizeof header_bytes - header_bytes;
  const char* header_begin = reinterpret_cast<const char*>(content.data()) + sizeof header_bytes;
  const Json header = parse_header(header_begin, header_begin + header_bytes, name);

  std::vector<Entry> entries;
  for (const auto& [key, json] : header.items())
    if (key == kMetadata)
      read_metadata(json, name, metadata);
    else
      entries.push_back(read_entry(key, json, data_bytes, fmt::format("{}: tensor '{}'", name, key)));
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  std::uint64_t used = 0;
  StoredTensors tensors;
  for (Entry& entry : entries) {
    const std::string subject = fmt::format("{}: tensor '{}'", name, *entry.name);
    if (entry.begin < used) throw broken(subject, "its bytes overlap another tensor's");
    if (entry.begin > used) throw broken(subject, "bytes before it belong to no tensor");
    used = entry.end;
    entry.tensor.bytes.assign(data + entry.begin, data + entry.end);
    tensors.emplace(*entry.name, std::move(entry.tensor));
  }
  if (used != data_bytes) throw broken(name, "bytes at the end belong to no tensor");
  return tensors;
}

StoredTensors read_safetensors(const std::filesystem::path& file, FileMetadata* metadata) {
  return parse_safetensors(read_file(file), file.string(), metadata);
}

void write_safetensors(const std::filesystem::path& file, const NamedTensors& tensors) {
  TensorReferences references;
  for (const auto& [name, tensor] : tensors) references.emplace(name, &tensor);
  write_safetensors(file, references, {});
}

void write_safetensors(const std::filesystem::path& file, const TensorReferences& tensors, const FileMetadata& metadata,
                       const StoredTensors& others) {
  std::vector<Written> all;
  for (const auto& [name, tensor] : tensors)
    all.push_back(written(name, "F32", tensor->shape, std::as_bytes(std::span(tensor->data))));
  for (const auto& [name, tensor] : others) all.push_back(written(name, tensor.dtype, tensor.shape, tensor.bytes));
  std::ranges::stable_sort(all, [](const Written& a, const Written& b) {
    return std::pair(b.element_bytes, a.name) < std::pair(a.element_bytes, b.name);
  });
  Json header = Json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  std::uint64_t offset = 0;
  for (const Written& tensor : all) {
    if (header.contains(tensor.name))
      throw std::logic_error(fmt::format("write_safetensors: tensor '{}' occurs twice", tensor.name));
    const std::uint64_t end = offset + tensor.bytes.size();
    header[std::string(tensor.name)] = {
        {"dtype", tensor.dtype}, {"shape", *tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  // Spaces after the header align the data, so that a reader may map the file.
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t header_bytes = text.size();
  std::vector<std::byte> content(sizeof header_bytes + header_bytes + offset);
  std::memcpy(content.data(), &header_bytes, sizeof header_bytes);
  std::memcpy(content.data() + sizeof header_bytes, text.data(), text.size());
  auto position = content.begin() + static_cast<std::ptrdiff_t>(sizeof header_bytes + header_bytes);
  for (const Written& tensor : all) position = std::ranges::copy(tensor.bytes, position).out;
  write_file(file, content);
}

}  // namespace aneval
