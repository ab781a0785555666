// Identifies programs and outputs by content: XXH3, 64 bits, as 16 hexadecimal digits. Not for security.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace aneval {

class Hasher {
 public:
  Hasher();
  ~Hasher();

  /// Adds a part. Its length goes in front of it, so that no two different sequences of parts give the same stream.
  void add(const void* data, std::size_t bytes);
  std::string digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace aneval
