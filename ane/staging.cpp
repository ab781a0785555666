// Between host tensors and surfaces, in contiguous runs (staging.h).
#include "ane/staging.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "common/error.h"

namespace aneval::ane {
namespace {

/// Tensor rows per task: a multiple of the 32 halves of a cache line, so that tasks of a transposed slot seldom share
/// one.
constexpr std::int64_t kRowsPerTask = 64;

/// Where a logical matrix [channels, width] lies on a surface.
struct Region {
  Axis channels, width;
  std::int64_t channel_offset = 0, width_offset = 0, surface_width = 0;

  std::int64_t elements() const { return channels.size() * width.size(); }
  /// Whole rows of the surface without padding are one run.
  bool contiguous() const { return !channels.padded() && !width.padded() && width.size() == surface_width; }
  std::int64_t row(std::int64_t channel) const {
    return (channel_offset + channels.place(channel)) * surface_width + width_offset;
  }
};

Region region_of(const PackedLayout& layout, const Slot& slot) {
  return {slot.channels, slot.width, slot.channel_offset, slot.width_offset, layout.input_width()};
}

Region region_of(const PackedLayout& layout, const Block& block) {
  return {block.channels, block.width, block.channel_offset, 0, layout.output_width()};
}

/// visit(logical index, place, length) for each contiguous run of [begin, end) of an axis.
template <class Visit>
void for_each_run(const Axis& axis, std::int64_t begin, std::int64_t end, const Visit& visit) {
  if (!axis.padded()) return visit(begin, begin, end - begin);
  for (std::int64_t i = begin, n; i < end; i += n) {
    n = std::min(end - i, axis.run - i % axis.run);
    visit(i, axis.place(i), n);
  }
}

/// The same for elements [begin, end) of a region in row-major order; the place is an index into the surface.
template <class Visit>
void for_each_run(const Region& region, std::int64_t begin, std::int64_t end, const Visit& visit) {
  if (region.contiguous()) return visit(begin, region.row(0) + begin, end - begin);
  const std::int64_t width = region.width.size();
  for (std::int64_t i = begin, n; i < end; i += n) {
    const std::int64_t channel = i / width, column = i % width;
    n = std::min(end - i, width - column);
    for_each_run(region.width, column, column + n, [&](std::int64_t logical, std::int64_t place, std::int64_t length) {
      visit(channel * width + logical, region.row(channel) + place, length);
    });
  }
}

void expect_elements(const std::string& name, const Region& region, std::size_t elements) {
  if (elements != static_cast<std::size_t>(region.elements()))
    throw input_error("'" + name + "'", "given " + std::to_string(elements) + " values",
                      "give " + std::to_string(region.elements()) + " for " +
                          shape_text({region.channels.size(), region.width.size()}));
}

void expect_surface(const Surface& surface, std::int64_t bytes, const char* what) {
  if (surface.bytes() < static_cast<std::size_t>(bytes))
    throw input_error(std::string(what) + " surface", "has " + std::to_string(surface.bytes()) + " bytes",
                      "make it of " + std::to_string(bytes));
}

/// The region of a slot or block, after all checks.
template <class Part>
Region checked_region(const PackedLayout& layout, const Part& part, std::size_t elements) {
  const Region region = region_of(layout, part);
  expect_elements(part.name, region, elements);
  return region;
}

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
};

/// rows x cols of the tensor, whose rows are `stride` apart, onto the surface, as they are or transposed.
void convert(const float* source, std::int64_t rows, std::int64_t cols, std::int64_t stride, bool transposed,
             half_t* destination, std::int64_t surface_width) {
  if (transposed) return to_half_transposed(source, rows, cols, stride, destination, surface_width);
  for (std::int64_t r = 0; r < rows; ++r) to_half(source + r * stride, destination + r * surface_width, cols);
}

/// The same times a scale, through a block on the stack.
void convert_scaled(const float* source, std::int64_t rows, std::int64_t cols, std::int64_t stride, bool transposed,
                    double scale, half_t* destination, std::int64_t surface_width) {
  constexpr std::int64_t kRows = 32, kColumns = 128;
  alignas(64) float block[kRows * kColumns];
  for (std::int64_t r = 0; r < rows; r += kRows)
    for (std::int64_t c = 0; c < cols; c += kColumns) {
      const std::int64_t m = std::min(kRows, rows - r), n = std::min(kColumns, cols - c);
      for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < n; ++j)
          block[i * kColumns + j] = product_to_odd(source[(r + i) * stride + c + j], scale);
      const std::int64_t place = transposed ? c * surface_width + r : r * surface_width + c;
      convert(block, m, n, kColumns, transposed, destination + place, surface_width);
    }
}

/// Tensor rows [begin, end).
void stage_rows(const WeightJob& job, std::int64_t begin, std::int64_t end, half_t* surface) {
  const Region& region = job.region;
  const bool transposed = job.slot->transposed;
  const Axis &row_axis = transposed ? region.width : region.channels,
             &col_axis = transposed ? region.channels : region.width;
  const std::int64_t cols = col_axis.size();
  for_each_run(row_axis, begin, end, [&](std::int64_t row, std::int64_t row_place, std::int64_t rows) {
    for_each_run(col_axis, 0, cols, [&](std::int64_t col, std::int64_t col_place, std::int64_t columns) {
      const std::int64_t channel = transposed ? col_place : row_place, column = transposed ? row_place : col_place;
      const float* source = job.tensor->data.data() + row * cols + col;
      half_t* destination =
          surface + (region.channel_offset + channel) * region.surface_width + region.width_offset + column;
      if (job.slot->scale == 1.0)
        convert(source, rows, columns, cols, transposed, destination, region.surface_width);
      else
        convert_scaled(source, rows, columns, cols, transposed, job.slot->scale, destination, region.surface_width);
    });
  });
}

std::vector<WeightJob> weight_jobs(const PackedLayout& layout, const NamedTensors& weights) {
  std::vector<WeightJob> jobs;
  for (const Slot& slot : layout.slots()) {
    if (slot.kind != SlotKind::weight) continue;
    const auto found = weights.find(slot.weight);
    if (found == weights.end())
      throw input_error("weight '" + slot.weight + "'", "missing",
                        "add it: slot '" + slot.name + "' is staged from it");
    const Tensor& tensor = found->second;
    std::vector<std::int64_t> expected = {slot.channels.size(), slot.width.size()};
    if (slot.transposed) std::swap(expected[0], expected[1]);
    if (tensor.shape != expected || static_cast<std::int64_t>(tensor.data.size()) != Tensor::element_count(expected))
      throw input_error(
          "weight '" + slot.weight + "'",
          "has shape " + shape_text(tensor.shape) + " and " + std::to_string(tensor.data.size()) + " values",
          "slot '" + slot.name + "' is staged from " + shape_text(expected));
    jobs.push_back({&slot, &tensor, region_of(layout, slot)});
  }
  return jobs;
}

}  // namespace

void stage_weights(const PackedLayout& layout, const NamedTensors& weights, Surface& input, ThreadPool* pool) {
  const std::vector<WeightJob> jobs = weight_jobs(layout, weights);
  expect_surface(input, layout.input_bytes(), "input");
  const WriteLock lock(input);
  half_t* surface = lock.halves().data();
  for (const WeightJob& job : jobs)
    parallel_for(pool, job.tensor->rows(), kRowsPerTask,
                 [&](std::int64_t begin, std::int64_t end) { stage_rows(job, begin, end, surface); });
}

void write_slot(const PackedLayout& layout, std::string_view slot, std::span<const float> values, Surface& input) {
  const Region region = checked_region(layout, layout.slot(slot), values.size());
  expect_surface(input, layout.input_bytes(), "input");
  const WriteLock lock(input);
  half_t* surface = lock.halves().data();
  for_each_run(region, 0, region.elements(), [&](std::int64_t i, std::int64_t place, std::int64_t n) {
    to_half(values.data() + i, surface + place, n);
  });
}

void write_slot_bits(const PackedLayout& layout, std::string_view slot, std::span<const half_t> bits, Surface& input) {
  const Region region = checked_region(layout, layout.slot(slot), bits.size());
  expect_surface(input, layout.input_bytes(), "input");
  const WriteLock lock(input);
  half_t* surface = lock.halves().data();
  for_each_run(region, 0, region.elements(), [&](std::int64_t i, std::int64_t place, std::int64_t n) {
    std::copy_n(bits.data() + i, n, surface + place);
  });
}

void read_slot(const PackedLayout& layout, std::string_view slot, Surface& input, std::span<float> values) {
  const Region region = checked_region(layout, layout.slot(slot), values.size());
  expect_surface(input, layout.input_bytes(), "input");
  const ReadLock lock(input);
  const half_t* surface = lock.halves().data();
  for_each_run(region, 0, region.elements(), [&](std::int64_t i, std::int64_t place, std::int64_t n) {
    to_float(surface + place, values.data() + i, n);
  });
}

void read_block(const PackedLayout& layout, std::string_view block, Surface& output, std::span<float> values) {
  const Region region = checked_region(layout, layout.block(block), values.size());
  expect_surface(output, layout.output_bytes(), "output");
  const ReadLock lock(output);
  const half_t* surface = lock.halves().data();
  for_each_run(region, 0, region.elements(), [&](std::int64_t i, std::int64_t place, std::int64_t n) {
    to_float(surface + place, values.data() + i, n);
  });
}

void read_block_bits(const PackedLayout& layout, std::string_view block, Surface& output, std::span<half_t> bits) {
  const Region region = checked_region(layout, layout.block(block), bits.size());
  expect_surface(output, layout.output_bytes(), "output");
  const ReadLock lock(output);
  const half_t* surface = lock.halves().data();
  for_each_run(region, 0, region.elements(), [&](std::int64_t i, std::int64_t place, std::int64_t n) {
    std::copy_n(surface + place, n, bits.data() + i);
  });
}

void copy_block(const PackedLayout& from, std::string_view block, Surface& output, const PackedLayout& to,
                std::string_view slot, Surface& input) {
  const Region source = region_of(from, from.block(block)), target = region_of(to, to.slot(slot));
  if (source.channels.size() != target.channels.size() || source.width.size() != target.width.size())
    throw input_error("block '" + std::string(block) + "'",
                      "is " + shape_text({source.channels.size(), source.width.size()}) + ", slot '" +
                          std::string(slot) + "' is " + shape_text({target.channels.size(), target.width.size()}),
                      "copy between equal shapes");
  expect_surface(output, from.output_bytes(), "output");
  expect_surface(input, to.input_bytes(), "input");
  const ReadLock read(output);
  const WriteLock write(input);
  const half_t* source_base = read.halves().data();
  half_t* target_base = write.halves().data();
  for_each_run(source, 0, source.elements(), [&](std::int64_t i, std::int64_t place, std::int64_t n) {
    for_each_run(target, i, i + n, [&](std::int64_t j, std::int64_t target_place, std::int64_t length) {
      std::copy_n(source_base + place + (j - i), length, target_base + target_place);
    });
  });
}

}  // namespace aneval::ane
