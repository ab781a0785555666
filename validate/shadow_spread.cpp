#include "validate/shadow_spread.h"

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
  /// Per line across k, the k of numbers that have a spread and are equal: {k, k, …} of two or more.
  std::vector<std::vector<std::vector<std::int32_t>>> repeated;

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

/// Finds equal numbers of a line; leaves `repeated` empty when there are none at all.
void find_repeated(const ShadowArithmetic::In& x, int line, int depth, Spread& spread) {
  const std::int64_t lines = x.shape[line], steps = x.shape[depth];
  bool any = false;
  std::vector<std::int32_t> order;
  spread.repeated.resize(static_cast<std::size_t>(x.batches() * lines));
  for (std::int64_t at = 0; at < x.batches() * lines; ++at) {
    const Shadow* from = x.matrix(at / lines) + at % lines * x.strides[line];
    order.clear();
    for (std::int64_t k = 0; k < steps; ++k)
      if (from[k * x.strides[depth]].variance != 0) order.push_back(static_cast<std::int32_t>(k));
    for_each_group(
        order, [&](std::int64_t k) { return from[k * x.strides[depth]].value; },
        [&](std::size_t first, std::size_t count) {
          if (count < 2) return;
          any = true;
          const auto begin = order.begin() + static_cast<std::ptrdiff_t>(first);
          spread.repeated[static_cast<std::size_t>(at)].emplace_back(begin, begin + static_cast<std::ptrdiff_t>(count));
        });
  }
  if (!any) spread.repeated.clear();
}

Spread take_apart(const ShadowArithmetic::In& x, int line, int depth) {
  Spread spread;
  spread.shape = x.shape;
  const auto n = static_cast<std::size_t>(x.shape.product());
  for (Floats* part : {&spread.value, &spread.centre, &spread.bias, &spread.variance, &spread.shared}) part->resize(n);
  const emulator::RowLoop<1> loop(x.shape, {&x.strides});
  std::size_t at = 0;
  for (std::int64_t r = 0; r < loop.rows(); ++r) {
    const emulator::Row<1> row = loop.row(r);
    for (std::int64_t i = 0; i < row.count; ++i, ++at) {
      const Shadow& s = x.data[row.offset[0] + i * row.step[0]];
      spread.value[at] = static_cast<float>(s.value);
      spread.centre[at] = static_cast<float>(s.centre());
      spread.bias[at] = s.bias;
      spread.variance[at] = s.variance;
      spread.shared[at] = s.shared;
      spread.any_bias = spread.any_bias || s.bias != 0;
      spread.any_variance = spread.any_variance || s.variance != 0;
      spread.any_shared = spread.any_shared || s.shared != 0;
    }
  }
  if (spread.any_shared) name_lines(x, line, depth, spread);
  if (spread.any_variance) find_repeated(x, line, depth, spread);
  return spread;
}

/// What squares leave out of equal numbers' errors: for each group of k, V·((Σm)² − Σm²), m the other operand's numbers
/// at these k, and `rounding`·(n² − n) for n equal ones. `other(k)` gives them for one element of the result.
template <class Variance, class Other>
double covariance_of_repeated(const std::vector<std::vector<std::int32_t>>& groups, const Variance& variance,
                              const Other& other, double rounding) {
  double sum = 0;
  for (const auto& group : groups) {
    const double first = other(group.front());
    double total = 0, squares = 0, equal = 0;
    for (const std::int32_t k : group) {
      const double m = other(k);
      total += m;
      squares += m * m;
      equal += m == first ? 1 : 0;
    }
    sum += variance(group.front()) * (total * total - squares) + rounding * (equal * equal - equal);
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

ProductSpread::ProductSpread(const In& x, const In& y, double squares, double rounding, ThreadPool* pool)
    : rows_(x.shape[x.shape.rank - 2]), columns_(y.shape[y.shape.rank - 1]) {
  const int last = x.shape.rank - 1;
  const Spread a = take_apart(x, last - 1, last), b = take_apart(y, last, last - 1);
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
  if (!a.repeated.empty() || !b.repeated.empty()) add_repeated(a, b, rounding, pool);
  if (a.any_shared) add_product(a.view(a.shared), b.view(b.centre), shared_x_, pool);
  if (b.any_shared) add_product(a.view(a.centre), b.view(b.shared), shared_y_, pool);
  names_x_ = a.names;
  names_y_ = b.names;
}

void ProductSpread::add_repeated(const Spread& a, const Spread& b, double rounding, ThreadPool* pool) {
  const std::int64_t depth = a.shape[a.shape.rank - 1],
                     batches = static_cast<std::int64_t>(variance_.size()) / (rows_ * columns_);
  parallel_for(pool, batches * rows_, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t line = begin; line < end; ++line) {
      const float *left = a.centre.data() + line * depth, *left_variance = a.variance.data() + line * depth;
      for (std::int64_t column = 0; column < columns_; ++column) {
        const std::int64_t first = line / rows_ * depth * columns_ + column;
        const auto number = [](float value) { return static_cast<double>(value); };
        double more = 0;
        if (!a.repeated.empty())
          more += covariance_of_repeated(
              a.repeated[static_cast<std::size_t>(line)], [&](std::int32_t k) { return number(left_variance[k]); },
              [&](std::int32_t k) { return number(b.centre[static_cast<std::size_t>(first + k * columns_)]); },
              rounding);
        if (!b.repeated.empty())
          more += covariance_of_repeated(
              b.repeated[static_cast<std::size_t>(line / rows_ * columns_ + column)],
              [&](std::int32_t k) { return number(b.variance[static_cast<std::size_t>(first + k * columns_)]); },
              [&](std::int32_t k) { return number(left[k]); }, rounding);
        float& variance = variance_[static_cast<std::size_t>(line * columns_ + column)];
        variance = std::max(variance + static_cast<float>(more), 0.0F);
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
