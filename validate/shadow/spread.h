// How bias, variance and shared errors pass through a product, whatever the accumulator: with m the centres,
//
//   B_c = Σ (m_a·m_b − a·b)      V_c = Σ (V_a·(m_b² + V_b) + m_a²·V_b)      T_c = Σ T_a·m_b
//
// T_c for every row that is named more than once along k: a softmax's row in probabilities times values, one row per
// head where all heads' channels are contracted. Rows that are named once (the transposed product, whose k are queries)
// have independent errors, and T_a² joins V_a.
//
// Tokens that come again bring the same errors again. Where whole rows of y along k are equal, the errors of what they
// are multiplied with may be one error: (Σ√V)² in place of ΣV over such k, and likewise for y's errors where columns of
// x are equal. If the products are equal altogether, so is how the accumulator rounds them.
#pragma once

#include <cstdint>
#include <vector>

#include "validate/shadow/shadow.h"

namespace aneval::validate {

/// What an accumulator adds to the variance.
struct AccumulatorSpread {
  double squares = 0;      // times Σ m_a²·m_b²
  double rounding = 0;     // of one product, as far as this depends on the operands alone
  bool in_groups = false;  // its own errors depend on neighbouring products, and may come again with them
};

struct SpreadOperand;

class ProductSpread {
 public:
  using In = ShadowArithmetic::In;

  ProductSpread(const In& x, const In& y, const AccumulatorSpread& accumulator, ThreadPool* pool);

  /// What the accumulator's own variance counts: 1, or, where it works in groups and numbers come again, how often on
  /// average, Σn²/K over the different ones.
  float weight(std::int64_t batch) const { return weights_.empty() ? 1 : weights_[static_cast<std::size_t>(batch)]; }

  /// Adds to bias, variance and shared error of element [row, column] of a batch.
  void add_to(std::int64_t batch, std::int64_t row, std::int64_t column, Shadow& to) const;

 private:
  void add_repeated(const SpreadOperand& a, const SpreadOperand& b, bool of_x, double rounding, ThreadPool* pool);

  std::int64_t rows_, columns_;
  /// T_c of one operand's rows.
  struct Shared {
    std::vector<float> amounts;        // per element
    std::vector<std::uint32_t> names;  // per row of x or per column of y
  };

  std::vector<float> bias_, variance_;  // empty: all zero
  std::vector<float> weights_;          // per batch
  std::vector<Shared> shared_x_, shared_y_;
};

}  // namespace aneval::validate
