// Blocks of matrices in memory, and memory that threads keep for their work on them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>

namespace aneval::emulator {

inline std::int64_t blocks_of(std::int64_t n, std::int64_t size) { return (n + size - 1) / size; }

/// Element (i, j) lies at data[i·row_step + j·column_step].
struct Matrix {
  const float* data = nullptr;
  std::int64_t rows = 0, columns = 0, row_step = 0, column_step = 0;

  Matrix transposed() const { return {data, columns, rows, column_step, row_step}; }
  Matrix block(std::int64_t row, std::int64_t column, std::int64_t most_rows, std::int64_t most_columns) const {
    return {data + row * row_step + column * column_step, std::min(most_rows, rows - row),
            std::min(most_columns, columns - column), row_step, column_step};
  }
};

/// Cache-line aligned memory that only grows; what it held is lost when it does.
class Buffer {
 public:
  Buffer() = default;
  ~Buffer() { release(); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  /// Uninitialised room for n values of a trivial type.
  template <class T>
  T* room(std::int64_t n) {
    const std::size_t bytes = sizeof(T) * static_cast<std::size_t>(n);
    if (bytes > bytes_) {
      release();
      data_ = ::operator new(bytes, kAlignment);
      bytes_ = bytes;
    }
    return static_cast<T*>(data_);
  }

 private:
  static constexpr std::align_val_t kAlignment{64};
  void release() {
    if (data_ != nullptr) ::operator delete(data_, kAlignment);
    data_ = nullptr;
    bytes_ = 0;
  }

  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// n elements on a cache line, default-initialised: numbers are whatever lay there.
template <class T>
class Elements {
 public:
  explicit Elements(std::int64_t n)
      : data_(static_cast<T*>(::operator new(sizeof(T) * static_cast<std::size_t>(n), kAlignment))) {
    static_assert(std::is_trivially_destructible_v<T>);
    std::uninitialized_default_construct_n(data_.get(), n);
  }
  T* data() { return data_.get(); }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Release {
    void operator()(T* data) const { ::operator delete(data, kAlignment); }
  };
  std::unique_ptr<T, Release> data_;
};

}  // namespace aneval::emulator
