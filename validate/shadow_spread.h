// How bias, variance and shared errors pass through a product, whatever the accumulator: with m the centres,
//
//   B_c = Σ (m_a·m_b − a·b)      V_c = Σ (V_a·(m_b² + V_b) + m_a²·V_b)      T_c = Σ T_a·m_b
//
// T_c where all elements along k name the same row (probabilities times values); where each has a row of its own (the
// transposed product) their rows' errors are independent, and T_a² joins V_a. Numbers along k that are equal have equal
// errors: V·(Σm)² over them, in place of V·Σm². If what they are multiplied with is equal too, so is how the
// accumulator rounds the products.
#pragma once

#include <cstdint>
#include <vector>

#include "validate/shadow.h"

namespace aneval::validate {

class ProductSpread {
 public:
  using In = ShadowArithmetic::In;

  /// `squares`: how much of Σ m_a²·m_b² the accumulator adds to the variance. `rounding`: the variance of its rounding
  /// of one product, as far as this depends on the operands alone.
  ProductSpread(const In& x, const In& y, double squares, double rounding, ThreadPool* pool);

  /// Adds to bias, variance and shared error of element [row, column] of a batch.
  void add_to(std::int64_t batch, std::int64_t row, std::int64_t column, Shadow& to) const;

  struct Operand;  // taken apart

 private:
  void add_repeated(const Operand& a, const Operand& b, double rounding, ThreadPool* pool);

  std::int64_t rows_, columns_;
  std::vector<float> bias_, variance_, shared_x_, shared_y_;  // empty: all zero
  std::vector<std::uint32_t> names_x_, names_y_;              // per row of x, per column of y
};

}  // namespace aneval::validate
