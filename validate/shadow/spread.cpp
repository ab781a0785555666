#include "validate/shadow/spread.h"

#include <algorithm>
#include <cmath>

#include "ane/emulator/matrix_product.h"
#include "validate/shadow/parts.h"
#include "validate/shadow/spread_operand.h"

namespace aneval::validate {

using emulator::TensorView;

namespace {

using Spread = SpreadOperand;
using Floats = std::vector<float>;

float multiplicity(const std::vector<std::vector<std::int32_t>>& groups, std::int64_t depth) {
  double sum = static_cast<double>(depth);
  for (const auto& group : groups) {
    const auto n = static_cast<double>(group.size());
    sum += n * n - n;
  }
  return static_cast<float>(sum / static_cast<double>(depth));
}

/// What ΣV leaves out of errors that come more than once, per group of k: (Σ√V)² − ΣV, times m², the other operand's
/// number; and `rounding`·(n² − n) for n equal products.
template <class Number>
double covariance_of_repeated(const std::vector<std::vector<std::int32_t>>& groups, const Number& variance,
                              const Number& centre, const Number& other, double rounding) {
  double sum = 0;
  for (const auto& group : groups) {
    const double m = other(group.front());
    double sigmas = 0, variances = 0, equal = 0, first = 0;
    for (const std::int32_t k : group) {
      const double v = variance(k);
      sigmas += std::sqrt(v);
      variances += v;
      if (v == 0) continue;  // keys that a query may not see, or what is known
      if (equal == 0) first = centre(k);
      equal += centre(k) == first ? 1 : 0;
    }
    sum += (sigmas * sigmas - variances) * m * m + rounding * (equal * equal - equal);
  }
  return sum;
}

/// sum += x·y, made on first use.
void add_product(const TensorView<const float>& x, const TensorView<const float>& y, Floats& sum, ThreadPool* pool) {
  emulator::Extents shape = x.shape;
  shape[shape.rank - 1] = y.shape[y.shape.rank - 1];
  Floats product(static_cast<std::size_t>(shape.product()));
  emulator::matrix_product(x, y, TensorView<float>{product.data(), shape, emulator::contiguous_strides(shape)}, pool);
  if (sum.empty()) {
    sum = std::move(product);
    return;
  }
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += product[i];
}

using Matrices = TensorView<const float>;

/// Part of the depth: of a left operand and of a right one.
Matrices part_of(Matrices x, int axis, const Spread::Depth& depth) {
  x.data += depth.begin * x.strides[axis];
  x.shape[axis] = depth.end - depth.begin;
  return x;
}
Matrices columns_of(const Matrices& x, const Spread::Depth& depth) { return part_of(x, x.shape.rank - 1, depth); }
Matrices rows_of(const Matrices& y, const Spread::Depth& depth) { return part_of(y, y.shape.rank - 2, depth); }

Floats squares_of(const Floats& values) {
  Floats squares(values);
  for (float& value : squares) value *= value;
  return squares;
}

}  // namespace

ProductSpread::ProductSpread(const In& x, const In& y, const AccumulatorSpread& accumulator, ThreadPool* pool)
    : rows_(x.shape[x.shape.rank - 2]), columns_(y.shape[y.shape.rank - 1]) {
  const int last = x.shape.rank - 1;
  Spread a = take_apart(x, last - 1, last), b = take_apart(y, last, last - 1);
  const double squares = accumulator.squares, rounding = accumulator.rounding;
  if (a.any_variance || accumulator.in_groups) find_repeated(y, last, last - 1, b);
  if (b.any_variance || accumulator.in_groups) find_repeated(x, last - 1, last, a);
  if (accumulator.in_groups && (a.any_repeated || b.any_repeated))
    for (std::size_t batch = 0; batch < b.repeated.size(); ++batch)
      weights_.push_back(
          std::max(multiplicity(a.repeated[batch], x.shape[last]), multiplicity(b.repeated[batch], x.shape[last])));
  if (a.any_bias) add_product(a.view(a.bias), b.view(b.centre), bias_, pool);
  if (b.any_bias) add_product(a.view(a.value), b.view(b.bias), bias_, pool);
  if (a.any_variance || b.any_variance || squares > 0) {
    const Floats square_a = squares_of(a.centre), square_b = squares_of(b.centre);
    if (a.any_variance) {
      Floats second(square_b);
      for (std::size_t i = 0; i < second.size(); ++i) second[i] += b.variance[i];
      add_product(a.view(a.variance), b.view(second), variance_, pool);
    }
    if (b.any_variance || squares > 0) {
      Floats variance(b.variance);
      for (std::size_t i = 0; i < variance.size(); ++i) variance[i] += static_cast<float>(squares) * square_b[i];
      add_product(a.view(square_a), b.view(variance), variance_, pool);
    }
  }
  if (a.any_variance && b.any_repeated) add_repeated(a, b, true, rounding, pool);
  if (b.any_variance && a.any_repeated) add_repeated(a, b, false, rounding, pool);
  for (Spread::Shared& s : a.shared) {
    Shared& sum = shared_x_.emplace_back(Shared{{}, std::move(s.names)});
    add_product(columns_of(a.view(s.amounts), s.depth), rows_of(b.view(b.centre), s.depth), sum.amounts, pool);
  }
  for (Spread::Shared& s : b.shared) {
    Shared& sum = shared_y_.emplace_back(Shared{{}, std::move(s.names)});
    add_product(columns_of(a.view(a.centre), s.depth), rows_of(b.view(s.amounts), s.depth), sum.amounts, pool);
  }
}

void ProductSpread::add_repeated(const Spread& a, const Spread& b, bool of_x, double rounding, ThreadPool* pool) {
  const std::int64_t depth = a.shape[a.shape.rank - 1];
  const std::int64_t batches = static_cast<std::int64_t>(variance_.size()) / (rows_ * columns_);
  parallel_for(pool, batches * rows_, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t line = begin; line < end; ++line) {
      const std::int64_t batch = line / rows_;
      const auto& groups = (of_x ? b : a).repeated[static_cast<std::size_t>(batch)];
      for (std::int64_t column = 0; column < columns_ && !groups.empty(); ++column) {
        const std::int64_t first = batch * depth * columns_ + column;
        const auto number = [&](const Floats& of_left, const Floats& of_right, bool left) {
          return [&of_left, &of_right, left, at_left = line * depth, first, this](std::int32_t k) {
            return static_cast<double>(left ? of_left[static_cast<std::size_t>(at_left + k)]
                                            : of_right[static_cast<std::size_t>(first + k * columns_)]);
          };
        };
        float& variance = variance_[static_cast<std::size_t>(line * columns_ + column)];
        variance += static_cast<float>(covariance_of_repeated(groups, number(a.variance, b.variance, of_x),
                                                              number(a.centre, b.centre, of_x),
                                                              number(a.centre, b.centre, !of_x), rounding));
      }
    }
  });
}

void ProductSpread::add_to(std::int64_t batch, std::int64_t row, std::int64_t column, Shadow& to) const {
  const auto place = static_cast<std::size_t>((batch * rows_ + row) * columns_ + column);
  if (!bias_.empty()) to.bias += bias_[place];
  if (!variance_.empty()) to.variance += variance_[place];
  for (const Shared& s : shared_x_)
    add_shared(to, s.amounts[place], s.names[static_cast<std::size_t>(batch * rows_ + row)]);
  for (const Shared& s : shared_y_)
    add_shared(to, s.amounts[place], s.names[static_cast<std::size_t>(batch * columns_ + column)]);
}

}  // namespace aneval::validate
