// Where a slot or a block lies on a surface, as contiguous runs and as rectangles: what staging, writing and reading
// walk over. A region is logical, [channels, width] without padding; on the surface both axes may be padded.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "ane/half.h"
#include "ane/packed_layout.h"
#include "ane/surface.h"
#include "common/error.h"

namespace aneval::ane {

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

inline Region region_of(const PackedLayout& layout, const Slot& slot) {
  return {slot.channels, slot.width, slot.channel_offset, slot.width_offset, layout.input_width()};
}

inline Region region_of(const PackedLayout& layout, const Block& block) {
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

/// A rectangle of a region without padding inside: rows x cols logical elements, row-major `width` apart, beginning at
/// `logical`; on the surface from `place` on, its rows the surface's width apart.
struct Rectangle {
  std::int64_t logical, width, place, rows, cols, surface_width;

  /// One run, on both sides.
  bool contiguous() const { return rows == 1 || (cols == width && width == surface_width); }
};

template <class Visit>
void for_each_rectangle(const Region& region, const Visit& visit) {
  const std::int64_t width = region.width.size();
  for_each_run(region.channels, 0, region.channels.size(), [&](std::int64_t channel, std::int64_t, std::int64_t rows) {
    for_each_run(region.width, 0, width, [&](std::int64_t column, std::int64_t place, std::int64_t cols) {
      visit(Rectangle{channel * width + column, width, region.row(channel) + place, rows, cols, region.surface_width});
    });
  });
}

/// visit(logical index, place, length) for every contiguous run of a region.
template <class Visit>
void for_each_run(const Region& region, const Visit& visit) {
  for_each_rectangle(region, [&](const Rectangle& r) {
    if (r.contiguous()) return visit(r.logical, r.place, r.rows * r.cols);
    for (std::int64_t i = 0; i < r.rows; ++i) visit(r.logical + i * r.width, r.place + i * r.surface_width, r.cols);
  });
}

/// Errors: the surface has fewer than `bytes`; `what` names it.
inline void expect_surface(const Surface& surface, std::int64_t bytes, const char* what) {
  if (surface.bytes() < static_cast<std::size_t>(bytes))
    throw input_error(std::string(what) + " surface", "has " + std::to_string(surface.bytes()) + " bytes",
                      "make it of " + std::to_string(bytes));
}

/// How to store so many bytes: past the caches from 256 KiB on, 1.1 to 1.8 times as fast. Less may stay in a cache
/// until the emulator reads it.
inline Stores stores_for(std::int64_t bytes) {
  constexpr std::int64_t kStreamed = 1 << 18;
  return bytes >= kStreamed ? Stores::streaming : Stores::cached;
}

}  // namespace aneval::ane
