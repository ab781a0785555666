// How a fixed-point product is cut into blocks, and the memory that it works in: what the driver
// (fixed_point_product.cpp) and the vector code (fixed_point_simd.cpp) have in common.
//
// The left operand x is packed into panels of kRows rows, once. Each task then takes kColumns columns of the right
// operand y, packs them kDepth steps of k at a time, and runs every panel against them.
#pragma once

#include <cstdint>

#include "ane/emulator/blocks.h"

namespace aneval::emulator {

struct FixedPointWork;

namespace fixed_point {

/// Rows of a register tile. 6 rows of 4 vectors leave a register file of 32 room for 4 columns and a broadcast.
inline constexpr std::int64_t kRows = 6;
/// Floats that one step of a panel takes: the rows, filled up so that vectors of 4 and 8 cover them.
inline constexpr std::int64_t kRowSlots = 8;
/// Steps of k between two transfers of sums from fp32 to integers: a multiple of the bytes of a vector, and at most
/// 256, because steps are listed in bytes. Of 64, 128, 192 and 256 on Zen 4 the last two were alike, the others slower
/// where many steps need masks.
inline constexpr std::int64_t kDepth = 192;
/// Most columns of a task; half of them are a multiple of every target's tile. With 128 the packed rows are read twice
/// as often, which costs the deepest products 2 to 10 % (256×3072×1024 on Zen 4: 0.83 to 0.95 of Eigen's rate, with 256
/// 0.94 to 0.96).
inline constexpr std::int64_t kColumns = 256;
/// Panels that are multiplied before the columns are packed again: with kColumns, sums of 510 KiB, half of a
/// second-level cache.
inline constexpr std::int64_t kMostPanels = 85;

/// What one thread needs for its columns.
struct Scratch {
  Buffer stage;     // operands on their way into panels and tiles
  Buffer tiles;     // kDepth x kColumns of y, packed
  Buffer sums;      // int32, in units of 2^-16
  Buffer overflow;  // int8: 0, or the sign of the overflow
  Buffer bounds;    // per tile and panel, of every partial sum so far
};

/// Rows of x and the same rows packed: depth blocks, each with all its panels.
struct LeftRows {
  Matrix x;
  const float* bias = nullptr;  // of the first row; null: none
  std::int64_t bias_step = 0;
  void* panels = nullptr;

  std::int64_t panel_count() const { return blocks_of(x.rows, kRows); }
  std::int64_t depth_blocks() const { return blocks_of(x.columns, kDepth); }
};

/// Bytes of one packed panel of one depth block on the chosen SIMD target.
std::int64_t panel_bytes();
/// Packs `count` panels of one depth block, beginning with `first`.
void pack_left(const LeftRows& left, std::int64_t depth_block, std::int64_t first, std::int64_t count,
               Scratch& scratch);
/// out = bias + left·y for at most kColumns columns of y; rows of `out` lie out_step apart. Adds to `work`.
void multiply_columns(const LeftRows& left, const Matrix& y, float* out, std::int64_t out_step, Scratch& scratch,
                      FixedPointWork& work);

}  // namespace fixed_point
}  // namespace aneval::emulator
