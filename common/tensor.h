// A named fp32 tensor in host memory: what staging reads, what kernels' outputs are read into, what files hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <new>
#include <numeric>
#include <string>
#include <vector>

namespace aneval {

/// Allocates at cache lines: a vector of 64 bytes read from a plain std::vector<float>, which is 16 bytes off, always
/// straddles two, and weights are staged a sixth slower.
template <class T>
struct LineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kLine{64};

  LineAllocator() = default;
  template <class U>
  LineAllocator(const LineAllocator<U>&) {}  // NOLINT(google-explicit-constructor): what containers ask for
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), kLine)); }
  void deallocate(T* memory, std::size_t) noexcept { ::operator delete(memory, kLine); }
  bool operator==(const LineAllocator&) const = default;
};

using Floats = std::vector<float, LineAllocator<float>>;

/// Row-major. Activations have shape [channels, S], weight matrices [out, in], vectors [n].
struct Tensor {
  std::vector<std::int64_t> shape;
  Floats data;

  Tensor() = default;
  explicit Tensor(std::vector<std::int64_t> dims)
      : shape(std::move(dims)), data(static_cast<std::size_t>(element_count(shape))) {}

  static std::int64_t element_count(const std::vector<std::int64_t>& dims) {
    return std::accumulate(dims.begin(), dims.end(), std::int64_t{1}, std::multiplies<>());
  }
  std::int64_t rows() const { return shape.empty() ? 1 : shape.front(); }
  /// Elements per row: the product of all dimensions but the first (1 for a vector).
  std::int64_t cols() const { return rows() == 0 ? 0 : static_cast<std::int64_t>(data.size()) / rows(); }

  bool operator==(const Tensor&) const = default;
};

using NamedTensors = std::map<std::string, Tensor, std::less<>>;

/// "[1024, 256]": how shapes are written in messages.
inline std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace aneval
