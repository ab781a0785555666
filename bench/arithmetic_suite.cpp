#include "bench/arithmetic.h"

#include <algorithm>
#include <cmath>

#include "ane/emulator/fixed_point.h"
#include "ane/emulator/fixed_point_product.h"
#include "ane/emulator/four_lane.h"
#include "ane/emulator/four_lane_product.h"
#include "ane/emulator/matrix_product.h"
#include "ane/half.h"
#include "bench/suites.h"
#include "common/error.h"
#include "common/random.h"

namespace aneval::bench {
namespace {

const char* product_name(ExactProduct product) {
  return product == ExactProduct::fixed_point ? "fixed_point" : "four_lane";
}

struct DataKind {
  const char* name;
  double sd;
};

DataKind data_kind(ProductData data) {
  switch (data) {
    case ProductData::activations:
      return {"activations", 1};
    case ProductData::gradients:
      return {"gradients", 1e-3};
    case ProductData::operands:
      return {"operands", 2000};
    default:
      return {"overflow", 20000};
  }
}

std::vector<float> halves(const char* stream, std::int64_t n, double sd) {
  std::vector<float> values(static_cast<std::size_t>(n));
  Random(1, stream).fill_normal(values, sd);
  std::vector<ane::half_t> bits(values.size());
  for (float& value : values) value = std::clamp(value, -65504.0F, 65504.0F);
  ane::to_half(values.data(), bits.data(), n);
  ane::to_float(bits.data(), values.data(), n);
  return values;
}

template <class T>
emulator::TensorView<T> view(T* data, std::int64_t batches, std::int64_t rows, std::int64_t columns,
                             bool transposed = false) {
  emulator::TensorView<T> view;
  view.data = data;
  for (const std::int64_t size : {batches, rows, columns}) view.shape.push(size);
  view.strides = emulator::contiguous_strides(view.shape);
  if (transposed) {
    view.strides[1] = 1;
    view.strides[2] = rows;
  }
  return view;
}

/// Operands and results of one rate.
class Products {
 public:
  explicit Products(const ProductRate& rate)
      : rate_(rate),
        x_(halves("left", rate.batches * rate.m * rate.k, data_kind(rate.data).sd)),
        y_(halves("right", rate.batches * rate.k * rate.n, 1 / std::sqrt(static_cast<double>(rate.k)))),
        out_(static_cast<std::size_t>(rate.batches * rate.m * rate.n)),
        left_(view<const float>(x_.data(), rate.batches, rate.m, rate.k)),
        right_(view<const float>(y_.data(), rate.batches, rate.k, rate.n, rate.right_transposed)),
        result_(view(out_.data(), rate.batches, rate.m, rate.n)) {}

  void exact(ThreadPool* pool) {
    work_ = {};
    if (rate_.product == ExactProduct::fixed_point)
      fixed_point_product(left_, right_, nullptr, result_, pool, &work_);
    else
      four_lane_product(left_, right_, nullptr, result_, pool);
  }
  void fp32() { matrix_product(left_, right_, result_, nullptr); }

  void check() {
    exact(nullptr);
    Random random(2);
    const auto dot = rate_.product == ExactProduct::fixed_point ? emulator::fixed_point::dot : emulator::four_lane::dot;
    for (int i = 0; i < 200; ++i) {
      const std::int64_t batch = random.below(rate_.batches), row = random.below(rate_.m),
                         column = random.below(rate_.n);
      const float expected = dot(rate_.k, left_.matrix(batch) + row * left_.strides[1], left_.strides[2],
                                 right_.matrix(batch) + column * right_.strides[2], right_.strides[1], 0.0F);
      const float got = result_.matrix(batch)[row * result_.strides[1] + column];
      if (got != expected)
        throw Error(ExitCode::check_failed, "element " + std::to_string(row) + ", " + std::to_string(column),
                    "differs from the scalar model: " + std::to_string(got) + " instead of " + std::to_string(expected),
                    "run emulator_test");
    }
  }

  /// Share of the multiply-accumulates that were summed in order.
  double fallback_share() const {
    return work_.total() == 0 ? 0 : static_cast<double>(work_.in_order) / static_cast<double>(work_.total());
  }
  double flops() const {
    return 2.0 * static_cast<double>(rate_.batches * rate_.m) * static_cast<double>(rate_.k * rate_.n);
  }

 private:
  ProductRate rate_;
  std::vector<float> x_, y_, out_;
  emulator::TensorView<const float> left_, right_;
  emulator::TensorView<float> result_;
  emulator::FixedPointWork work_;
};

Subject product_subject(const ProductRate& rate, ThreadPool* pool) {
  const auto products = std::make_shared<Products>(rate);
  Subject subject;
  subject.run = [products, pool] { products->exact(pool); };
  subject.yardstick = [products, pool] { pool == nullptr ? products->fp32() : products->exact(nullptr); };
  subject.finished = [products] { products->check(); };
  subject.work.flops = products->flops();
  subject.facts = [products, rate](const Record& row) {
    std::vector<Record> rows;
    if (rate.product == ExactProduct::fixed_point)
      rows.push_back(fact(row, "fallback_share", products->fallback_share()));
    return rows;
  };
  return subject;
}

}  // namespace

Benchmark product_rate(const ProductRate& rate, ThreadPool* pool) {
  const std::string data = data_kind(rate.data).name;
  std::string shape = rate.batches == 1 ? "" : std::to_string(rate.batches) + "x";
  shape += std::to_string(rate.m) + "x" + std::to_string(rate.k) + "x" + std::to_string(rate.n);
  if (rate.right_transposed) shape += "_transposed";
  const int threads = pool != nullptr ? pool->threads() : 1;
  Benchmark benchmark;
  benchmark.name = std::string("matmul_rate/") + product_name(rate.product) + "/" + data + "/" + shape;
  if (threads > 1) benchmark.name += "/threads=" + std::to_string(threads);
  benchmark.row.item = product_name(rate.product);
  benchmark.row.case_text = "data=" + data + ";shape=" + shape + ";threads=" + std::to_string(threads);
  benchmark.row.phase = "arithmetic";
  benchmark.on_device = false;
  benchmark.yardstick = Yardstick{pool == nullptr ? "Eigen's fp32 product" : "one thread"};
  benchmark.prepare = [rate, pool] { return product_subject(rate, pool); };
  return benchmark;
}

std::vector<Benchmark> arithmetic_suite(const SuiteOptions& options) {
  using enum ProductData;
  using enum ExactProduct;
  // Projections of a layer: activations or their gradients times weights, and attention per head.
  std::vector<ProductRate> rates = {
      {fixed_point, activations, 1, 256, 1024, 2048},      {fixed_point, gradients, 1, 256, 1024, 2048},
      {fixed_point, operands, 1, 256, 1024, 2048},         {fixed_point, overflow, 1, 64, 1024, 2048},
      {fixed_point, activations, 16, 256, 128, 256, true}, {four_lane, activations, 1, 256, 1024, 2048}};
  if (options.extent == validate::Extent::full) {
    for (const ProductData data : {activations, gradients, operands})
      for (const auto& [k, n] : {std::pair{1024, 3072}, std::pair{2048, 1024}, std::pair{3072, 1024}})
        rates.push_back({fixed_point, data, 1, 256, k, n});
    for (const ProductData data : {activations, gradients}) {
      rates.push_back({fixed_point, data, 16, 256, 256, 128});
      rates.push_back({fixed_point, data, 16, 256, 128, 256});
    }
    rates.push_back({four_lane, gradients, 1, 256, 1024, 2048});
    rates.push_back({four_lane, activations, 16, 256, 128, 256, true});
  }
  std::vector<Benchmark> benchmarks;
  for (const ProductRate& rate : rates) benchmarks.push_back(product_rate(rate, nullptr));
  ThreadPool* pool = options.cases ? options.cases->options().pool : nullptr;
  if (pool != nullptr && pool->threads() > 1)
    for (const ProductRate& rate : {rates[0], rates[4], rates[5]}) benchmarks.push_back(product_rate(rate, pool));
  return benchmarks;
}

}  // namespace aneval::bench
