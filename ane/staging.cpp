// Slots and blocks between host memory and surfaces, and from surface to surface, in contiguous runs (staging.h).
#include "ane/staging.h"

#include <algorithm>
#include <type_traits>

#include "ane/surface_region.h"
#include "common/error.h"

namespace aneval::ane {
namespace {

/// The region of a slot or block that holds so many elements, on a surface large enough for it.
template <class Part>
Region checked_region(const PackedLayout& layout, const Part& part, std::size_t elements, const Surface& surface) {
  const Region region = region_of(layout, part);
  if (elements != static_cast<std::size_t>(region.elements()))
    throw input_error("'" + part.name + "'", "given " + std::to_string(elements) + " values",
                      "give " + std::to_string(region.elements()) + " for " +
                          shape_text({region.channels.size(), region.width.size()}));
  if constexpr (std::is_same_v<Part, Slot>)
    expect_surface(surface, layout.input_bytes(), "input");
  else
    expect_surface(surface, layout.output_bytes(), "output");
  return region;
}

void write_bits(const Region& region, std::span<const half_t> bits, Surface& surface) {
  const WriteLock lock(surface);
  for_each_run(region, [&](std::int64_t i, std::int64_t place, std::int64_t n) {
    std::copy_n(bits.data() + i, n, lock.halves().data() + place);
  });
}

void read_bits(const Region& region, Surface& surface, std::span<half_t> bits) {
  const ReadLock lock(surface);
  for_each_run(region, [&](std::int64_t i, std::int64_t place, std::int64_t n) {
    std::copy_n(lock.halves().data() + place, n, bits.data() + i);
  });
}

void read_floats(const Region& region, Surface& surface, std::span<float> values) {
  const ReadLock lock(surface);
  for_each_run(region, [&](std::int64_t i, std::int64_t place, std::int64_t n) {
    to_float(lock.halves().data() + place, values.data() + i, n);
  });
}

/// Equal shapes, each with its own padding: runs of the source are cut where the target's end.
void copy_region(const Region& source, const half_t* from, const Region& target, half_t* to) {
  const std::int64_t width = target.width.size();
  for_each_run(source, [&](std::int64_t begin, std::int64_t place, std::int64_t length) {
    for (std::int64_t i = begin, end = begin + length, n; i < end; i += n) {
      const std::int64_t channel = i / width, column = i % width;
      const std::int64_t run = target.contiguous() ? end - i : target.width.run - column % target.width.run;
      n = std::min(end - i, run);
      std::copy_n(from + place + (i - begin), n, to + target.row(channel) + target.width.place(column));
    }
  });
}

}  // namespace

void write_slot(const PackedLayout& layout, std::string_view slot, std::span<const float> values, Surface& input) {
  const Region region = checked_region(layout, layout.slot(slot), values.size(), input);
  const WriteLock lock(input);
  const Stores stores = stores_for(2 * region.elements());
  for_each_rectangle(region, [&](const Rectangle& r) {
    to_half_rows({values.data() + r.logical, r.rows, r.cols, r.width},
                 {lock.halves().data() + r.place, r.surface_width}, stores);
  });
}

void write_slot_bits(const PackedLayout& layout, std::string_view slot, std::span<const half_t> bits, Surface& input) {
  write_bits(checked_region(layout, layout.slot(slot), bits.size(), input), bits, input);
}

void read_slot(const PackedLayout& layout, std::string_view slot, Surface& input, std::span<float> values) {
  read_floats(checked_region(layout, layout.slot(slot), values.size(), input), input, values);
}

void read_block(const PackedLayout& layout, std::string_view block, Surface& output, std::span<float> values) {
  read_floats(checked_region(layout, layout.block(block), values.size(), output), output, values);
}

void read_block_bits(const PackedLayout& layout, std::string_view block, Surface& output, std::span<half_t> bits) {
  read_bits(checked_region(layout, layout.block(block), bits.size(), output), output, bits);
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
  copy_region(source, read.halves().data(), target, write.halves().data());
}

}  // namespace aneval::ane
