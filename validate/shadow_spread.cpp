#include "validate/shadow_spread.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "ane/emulator/matrix_product.h"
#include "validate/shadow_parts.h"

namespace aneval::validate {

using emulator::TensorView;

namespace {

using Floats = std::vector<float>;

/// One operand taken apart, contiguous.
using Spread = ProductSpread::Operand;

}  // namespace

struct ProductSpread::Operand {
  emulator::Extents shape;
  Floats value, centre, bias, variance, shared;
  std::vector<std::uint32_t> names;  // per line across k
  bool any_bias = false, any_variance = false, any_shared = false;
  /// Per batch, the k at which all numbers across k are equal: {k, k, …} of two or more.
  std::vector<std::vector<std::vector<std::int32_t>>> repeated;
  bool any_repeated = false;

  TensorView<const float> view(const Floats& of) const {
    return {of.data(), shape, emulator::contiguous_strides(shape)};
  }
};

namespace {

/// `depth`, `line`: the axes along which k and the lines across it run.
void name_lines(const ShadowArithmetic::In& x, int line, int depth, Spread& spread) {
  const std::int64_t lines = x.shape[line], steps = x.shape[depth];
  spread.names.assign(static_cast<std::size_t>(x.batches() * lines), 0);
  bool one_row_each = true;
  for (std::int64_t at = 0; at < x.batches() * lines && one_row_each; ++at) {
    const Shadow* from = x.matrix(at / lines) + at % lines * x.strides[line];
    std::uint32_t& name = spread.names[static_cast<std::size_t>(at)];
    for (std::int64_t k = 0; k < steps; ++k) {
      const Shadow& s = from[k * x.strides[depth]];
      if (s.shared == 0) continue;
      if (name == 0) name = s.row;
      one_row_each = one_row_each && name == s.row;
    }
  }
  if (one_row_each) return;
  for (std::size_t i = 0; i < spread.shared.size(); ++i) spread.variance[i] += spread.shared[i] * spread.shared[i];
  spread.any_shared = false;
  spread.any_variance = true;
}

/// Which k have the same numbers all through: by a hash of the exact values across.
void find_repeated(const ShadowArithmetic::In& x, int line, int depth, Spread& spread) {
  const std::int64_t lines = x.shape[line], steps = x.shape[depth];
  std::vector<std::uint64_t> hashes(static_cast<std::size_t>(steps));
  for (std::int64_t batch = 0; batch < x.batches(); ++batch) {
    std::vector<std::int32_t> order;
    for (std::int64_t k = 0; k < steps; ++k) {
      std::uint64_t hash = 0;
      for (std::int64_t at = 0; at < lines; ++at) {
        const double value = x.matrix(batch)[at * x.strides[line] + k * x.strides[depth]].value;
        hash = (hash ^ std::bit_cast<std::uint64_t>(value)) * 0x9E3779B97F4A7C15U;
        hash ^= hash >> 29U;
      }
      hashes[static_cast<std::size_t>(k)] = hash;
      order.push_back(static_cast<std::int32_t>(k));
    }
    std::sort(order.begin(), order.end(), [&](std::int32_t left, std::int32_t right) {
      return hashes[static_cast<std::size_t>(left)] < hashes[static_cast<std::size_t>(right)];
    });
    auto& groups = spread.repeated.emplace_back();
    for (auto first = order.begin(); first != order.end();) {
      const auto other = [&](std::int32_t k) {
        return hashes[static_cast<std::size_t>(k)] != hashes[static_cast<std::size_t>(*first)];
      };
      const auto end = std::find_if(first, order.end(), other);
      if (end - first > 1) groups.emplace_back(first, end);
      first = end;
    }
    spread.any_repeated = spread.any_repeated || !groups.empty();
  }
}

Spread take_apart(const ShadowArithmetic::In& x, int line, int depth) {
  Spread spread;
  spread.shape = x.shape;
  const auto n = static_cast<std::size_t>(x.shape.product());
  for (Floats* part : {&spread.value, &spread.centre, &spread.bias, &spread.variance, &spread.shared}) part->resize(n);
  for_each_element(x, [&](std::size_t at, const Shadow& s) {
    spread.value[at] = static_cast<float>(s.value);
    spread.centre[at] = static_cast<float>(s.centre());
    spread.bias[at] = s.bias;
    spread.variance[at] = s.variance;
    spread.shared[at] = s.shared;
    spread.any_bias = spread.any_bias || s.bias != 0;
    spread.any_variance = spread.any_variance || s.variance != 0;
    spread.any_shared = spread.any_shared || s.shared != 0;
  });
  if (spread.any_shared) name_lines(x, line, depth, spread);
  return spread;
}

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
  if (a.any_shared) add_product(a.view(a.shared), b.view(b.centre), shared_x_, pool);
  if (b.any_shared) add_product(a.view(a.centre), b.view(b.shared), shared_y_, pool);
  names_x_ = a.names;
  names_y_ = b.names;
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
  if (!shared_x_.empty()) add_shared(to, shared_x_[place], names_x_[static_cast<std::size_t>(batch * rows_ + row)]);
  if (!shared_y_.empty())
    add_shared(to, shared_y_[place], names_y_[static_cast<std::size_t>(batch * columns_ + column)]);
}

}  // namespace aneval::validate
