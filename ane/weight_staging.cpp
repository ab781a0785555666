// Weights of the model onto surfaces, or as the constants that are compiled into a program (staging.h): conversion,
// transposition and scale in one pass over each tensor.
#include "ane/staging.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <deque>
#include <set>
#include <utility>
#include <vector>

#include "ane/surface_region.h"
#include "common/error.h"

namespace aneval::ane {
namespace {

/// Tensor rows per task: whole blocks of the transposition, and enough of them that its pipeline is full most of the
/// time.
constexpr std::int64_t kRowsPerTask = 256;

/// float(w · scale) rounded to odd: of the two neighbours the one with an odd last bit unless the product is a float.
/// Rounding that to fp16 gives the same as rounding the double product directly, because a float has more than two
/// bits beyond a half (Boldo and Melquiond 2008), and it vectorises.
float product_to_odd(float w, double scale) {
  const double product = static_cast<double>(w) * scale;
  const auto nearest = static_cast<float>(product);
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(nearest);
  const std::uint32_t away = std::fabs(static_cast<double>(nearest)) > std::fabs(product) ? 1 : 0;
  const std::uint32_t inexact = static_cast<double>(nearest) != product ? 1 : 0;  // also a NaN, which stays one
  return std::bit_cast<float>((bits - away) | inexact);
}

/// One weight slot being staged: the tensor it comes from and where it goes.
struct WeightJob {
  const Slot* slot;
  const Tensor* tensor;
  Region region;
  half_t* surface = nullptr;  // once it is locked

  bool plain() const { return slot->scale == 1.0; }
  /// The axes of the tensor.
  const Axis& rows() const { return slot->transposed ? region.width : region.channels; }
  const Axis& cols() const { return slot->transposed ? region.channels : region.width; }
  /// Where element [row, col] of the tensor lies.
  HalfRows place(std::int64_t row, std::int64_t col) const {
    const std::int64_t channel = slot->transposed ? col : row, column = slot->transposed ? row : col;
    return {surface + region.row(channel) + region.width.place(column), region.surface_width};
  }
};

/// The part of a job's tensor times its scale, through a block on the stack.
void stage_scaled(const WeightJob& job, const FloatMatrix& source, std::int64_t row, std::int64_t col) {
  constexpr std::int64_t kRows = 32, kColumns = 128;
  alignas(64) float block[kRows * kColumns];
  for (std::int64_t r = 0; r < source.rows; r += kRows)
    for (std::int64_t c = 0; c < source.cols; c += kColumns) {
      const std::int64_t m = std::min(kRows, source.rows - r), n = std::min(kColumns, source.cols - c);
      for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < n; ++j)
          block[i * kColumns + j] = product_to_odd(source.data[(r + i) * source.stride + c + j], job.slot->scale);
      const FloatMatrix scaled{block, m, n, kColumns};
      if (job.slot->transposed)
        to_half_transposed(scaled, job.place(row + r, col + c));
      else
        to_half_rows(scaled, job.place(row + r, col + c));
    }
}

/// Tensor rows [begin, end) into one slot, or into two of which `twin` holds the transpose.
void stage_rows(const WeightJob& job, const WeightJob* twin, std::int64_t begin, std::int64_t end, Stores stores) {
  const std::int64_t width = job.cols().size();
  for_each_run(job.rows(), begin, end, [&](std::int64_t row, std::int64_t, std::int64_t rows) {
    for_each_run(job.cols(), 0, width, [&](std::int64_t col, std::int64_t, std::int64_t cols) {
      const FloatMatrix source{job.tensor->data.data() + row * width + col, rows, cols, width};
      if (twin != nullptr)
        to_half_both(source, job.place(row, col), twin->place(row, col), stores);
      else if (!job.plain())
        stage_scaled(job, source, row, col);
      else if (job.slot->transposed)
        to_half_transposed(source, job.place(row, col), stores);
      else
        to_half_rows(source, job.place(row, col), stores);
    });
  });
}

/// The job of a weight slot in that region, checked against the tensors.
WeightJob weight_job(const Slot& slot, const Region& region, const NamedTensors& weights) {
  const auto found = weights.find(slot.weight);
  if (found == weights.end())
    throw input_error("weight '" + slot.weight + "'", "missing", "add it: slot '" + slot.name + "' is staged from it");
  const Tensor& tensor = found->second;
  std::vector<std::int64_t> expected = {slot.channels.size(), slot.width.size()};
  if (slot.transposed) std::swap(expected[0], expected[1]);
  if (tensor.shape != expected || static_cast<std::int64_t>(tensor.data.size()) != Tensor::element_count(expected))
    throw input_error(
        "weight '" + slot.weight + "'",
        "has shape " + shape_text(tensor.shape) + " and " + std::to_string(tensor.data.size()) + " values",
        "slot '" + slot.name + "' is staged from " + shape_text(expected));
  return {&slot, &tensor, region};
}

/// Appends the layout's weight slots.
void add_jobs(const PackedLayout& layout, const NamedTensors& weights, std::vector<WeightJob>& jobs) {
  for (const Slot& slot : layout.slots())
    if (slot.kind == SlotKind::weight) jobs.push_back(weight_job(slot, region_of(layout, slot), weights));
}

/// The job that can be done in one pass with a job that is not transposed; null when there is none.
const WeightJob* twin_of(const WeightJob& job, const std::vector<WeightJob>& jobs) {
  if (job.slot->transposed || !job.plain()) return nullptr;
  const auto found = std::ranges::find_if(jobs, [&](const WeightJob& other) {
    return other.tensor == job.tensor && other.slot->transposed && other.plain() && other.rows() == job.rows() &&
           other.cols() == job.cols();
  });
  return found == jobs.end() ? nullptr : &*found;
}

}  // namespace

void stage_weights(const PackedLayout& layout, const NamedTensors& weights, Surface& input, ThreadPool* pool) {
  const StagingTarget target{&layout, &input};
  stage_weights(std::span(&target, 1), weights, pool, WeightPasses::per_slot);
}

void stage_weights(std::span<const StagingTarget> targets, const NamedTensors& weights, ThreadPool* pool,
                   WeightPasses passes) {
  std::vector<WeightJob> jobs;
  std::vector<std::size_t> last_jobs;  // one past the last of each target
  for (const StagingTarget& target : targets) {
    add_jobs(*target.layout, weights, jobs);
    last_jobs.push_back(jobs.size());
    expect_surface(*target.input, target.layout->input_bytes(), "input");
  }
  std::deque<WriteLock> locks;
  for (std::size_t i = 0, job = 0; i < targets.size(); ++i) {
    half_t* surface = locks.emplace_back(*targets[i].input).halves().data();
    for (; job < last_jobs[i]; ++job) jobs[job].surface = surface;
  }
  std::int64_t bytes = 0;
  for (const WeightJob& job : jobs) bytes += 2 * job.region.elements();
  const Stores stores = stores_for(bytes);
  std::set<const WeightJob*> done;
  const auto stage = [&](const WeightJob& job, const WeightJob* twin) {
    done.insert({&job, twin});
    parallel_for(pool, job.tensor->rows(), kRowsPerTask,
                 [&](std::int64_t begin, std::int64_t end) { stage_rows(job, twin, begin, end, stores); });
  };
  if (passes == WeightPasses::per_tensor)
    for (const WeightJob& job : jobs)
      if (const WeightJob* twin = twin_of(job, jobs); twin != nullptr && !done.contains(twin)) stage(job, twin);
  for (const WeightJob& job : jobs)
    if (!done.contains(&job)) stage(job, nullptr);
}

std::vector<half_t> staged_bits(const Slot& slot, const NamedTensors& weights) {
  const std::int64_t width = slot.width.padded_size();
  WeightJob job = weight_job(slot, {slot.channels, slot.width, 0, 0, width}, weights);
  std::vector<half_t> bits(static_cast<std::size_t>(slot.channels.padded_size() * width));
  job.surface = bits.data();
  stage_rows(job, nullptr, 0, job.tensor->rows(), Stores::cached);
  return bits;
}

std::vector<float> staged_numbers(const Slot& slot, const NamedTensors& weights) {
  const std::int64_t width = slot.width.padded_size();
  const Tensor& natural = *weight_job(slot, {slot.channels, slot.width, 0, 0, width}, weights).tensor;
  std::vector<float> numbers(static_cast<std::size_t>(slot.channels.padded_size() * width));
  for (std::int64_t row = 0; row < natural.rows(); ++row)
    for (std::int64_t col = 0; col < natural.cols(); ++col) {
      const std::int64_t channel = slot.transposed ? col : row, column = slot.transposed ? row : col;
      numbers[static_cast<std::size_t>(slot.channels.place(channel) * width + slot.width.place(column))] =
          static_cast<float>(static_cast<double>(natural.data[static_cast<std::size_t>(row * natural.cols() + col)]) *
                             slot.scale);
    }
  return numbers;
}

}  // namespace aneval::ane
