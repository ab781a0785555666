#include "validate/shadow_spread.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <optional>

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
  Floats value, centre, bias, variance;
  struct Shared {
    Floats amounts;
    std::vector<std::uint32_t> names;  // per line across k; 0: none
  };
  std::vector<Shared> shared;
  bool any_bias = false, any_variance = false;
  /// Per batch, the k at which all numbers across k are equal: {k, k, …} of two or more.
  std::vector<std::vector<std::vector<std::int32_t>>> repeated;
  bool any_repeated = false;

  TensorView<const float> view(const Floats& of) const {
    return {of.data(), shape, emulator::contiguous_strides(shape)};
  }
};

namespace {

/// The names of one or two rows, 0 for none.
using Rows = std::array<std::uint32_t, Shadow{}.shared.size()>;

/// The rows that a line's errors are shared by: one, or two that meet in one of its elements. Nothing where other rows'
/// elements lie beside each other, as queries do where they are contracted.
std::optional<Rows> rows_of_line(const Shadow* line, std::int64_t step, std::int64_t steps) {
  Rows rows{};
  bool meet = false;
  for (std::int64_t k = 0; k < steps; ++k) {
    const auto& shared = line[k * step].shared;
    for (const SharedError& part : shared) {
      if (part.amount == 0) continue;
      const auto found = std::ranges::find_if(rows, [&](std::uint32_t row) { return row == 0 || row == part.row; });
      if (found == rows.end()) return std::nullopt;
      *found = part.row;
    }
    meet = meet || std::ranges::all_of(shared, [](const SharedError& part) { return part.amount != 0; });
  }
  if (rows.back() != 0 && !meet) return std::nullopt;
  return rows;
}

/// Sorts what is shared by rows: the first of every line, the second. If a line is of no row, everything shared is
/// taken for independent. `depth`, `line`: the axes along which k and the lines across it run.
void name_lines(const ShadowArithmetic::In& x, int line, int depth, Spread& spread) {
  const std::int64_t lines = x.shape[line], steps = x.shape[depth];
  std::vector<Rows> rows;
  bool two = false;
  for (std::int64_t at = 0; at < x.batches() * lines; ++at) {
    const auto found = rows_of_line(x.matrix(at / lines) + at % lines * x.strides[line], x.strides[depth], steps);
    if (!found) {
      for_each_element(x, [&](std::size_t place, const Shadow& s) {
        spread.variance[place] += static_cast<float>(s.shared_variance());
      });
      spread.any_variance = true;
      return;
    }
    rows.push_back(*found);
    two = two || found->back() != 0;
  }
  for (std::size_t i = 0; i < (two ? 2 : 1); ++i) {
    Spread::Shared& shared = spread.shared.emplace_back();
    for (const Rows& of_line : rows) shared.names.push_back(of_line[i]);
    shared.amounts.resize(spread.value.size());
  }
  for_each_element(x, [&](std::size_t place, const Shadow& s) {
    const auto element = static_cast<std::int64_t>(place);
    const std::int64_t at = line > depth ? element / (lines * steps) * lines + element % lines : element / steps;
    for (const SharedError& part : s.shared)
      if (part.amount != 0)
        spread.shared[part.row == rows[static_cast<std::size_t>(at)][0] ? 0 : 1].amounts[place] = part.amount;
  });
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
  for (Floats* part : {&spread.value, &spread.centre, &spread.bias, &spread.variance}) part->resize(n);
  bool any_shared = false;
  for_each_element(x, [&](std::size_t at, const Shadow& s) {
    spread.value[at] = static_cast<float>(s.value);
    spread.centre[at] = static_cast<float>(s.centre());
    spread.bias[at] = s.bias;
    spread.variance[at] = s.variance;
    spread.any_bias = spread.any_bias || s.bias != 0;
    spread.any_variance = spread.any_variance || s.variance != 0;
    any_shared = any_shared || s.shared_variance() != 0;
  });
  if (any_shared) name_lines(x, line, depth, spread);
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
  for (Spread::Shared& s : a.shared) {
    Shared& sum = shared_x_.emplace_back(Shared{{}, std::move(s.names)});
    add_product(a.view(s.amounts), b.view(b.centre), sum.amounts, pool);
  }
  for (Spread::Shared& s : b.shared) {
    Shared& sum = shared_y_.emplace_back(Shared{{}, std::move(s.names)});
    add_product(a.view(a.centre), b.view(s.amounts), sum.amounts, pool);
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
