#include "ane/emulator/fixed_point_product.h"

#include <mutex>
#include <vector>

#include "ane/emulator/fixed_point_blocks.h"

namespace aneval::emulator {
namespace {

using namespace fixed_point;

/// Packed rows of x that exist at a time, all threads together.
constexpr std::int64_t kPackedBytes = std::int64_t{8} << 20;

/// Memory is kept from call to call: a training step repeats the same products thousands of times.
Scratch& scratch_of_this_thread() {
  thread_local Scratch scratch;
  return scratch;
}

Buffer& panels_of_this_thread() {
  thread_local Buffer panels;
  return panels;
}

/// One product as a list of row blocks over all batches.
class Product {
 public:
  Product(const TensorView<const float>& x, const TensorView<const float>& y, const TensorView<const float>* bias,
          const TensorView<float>& out)
      : x_(x), y_(y), bias_(bias), out_(out), last_(out.shape.rank - 1) {
    const std::int64_t bytes = panel_bytes() * blocks_of(depth(), kDepth);
    // A few panels at least, so that the columns of y are not packed for one panel each.
    panels_ = std::clamp<std::int64_t>(bytes > 0 ? kPackedBytes / bytes : kMostPanels, 8, kMostPanels);
    panels_ = std::min(panels_, blocks_of(rows(), kRows));
    block_bytes_ = panels_ * bytes;
  }

  std::int64_t rows() const { return x_.shape[last_ - 1]; }
  std::int64_t depth() const { return x_.shape[last_]; }
  std::int64_t columns() const { return out_.shape[last_]; }
  std::int64_t panels() const { return panels_; }
  std::int64_t block_bytes() const { return block_bytes_; }
  std::int64_t row_blocks() const { return blocks_of(rows(), panels_ * kRows); }
  std::int64_t blocks() const { return out_.batches() * row_blocks(); }

  LeftRows left(std::int64_t block, void* panels) const {
    const std::int64_t row = first_row(block);
    const Matrix x = {x_.matrix(batch(block)), rows(), depth(), x_.strides[last_ - 1], x_.strides[last_]};
    LeftRows left;
    left.x = x.block(row, 0, panels_ * kRows, depth());
    left.panels = panels;
    if (bias_ != nullptr) {
      left.bias_step = bias_->strides[0];
      left.bias = bias_->data + row * left.bias_step;
    }
    return left;
  }

  void multiply(const LeftRows& left, std::int64_t block, std::int64_t column, std::int64_t width,
                FixedPointWork& work) const {
    const Matrix y = {y_.matrix(batch(block)), depth(), columns(), y_.strides[last_ - 1], y_.strides[last_]};
    const std::int64_t out_step = out_.strides[last_ - 1];
    float* out = out_.matrix(batch(block)) + first_row(block) * out_step + column;
    multiply_columns(left, y.block(0, column, depth(), width), out, out_step, scratch_of_this_thread(), work);
  }

 private:
  std::int64_t batch(std::int64_t block) const { return block / row_blocks(); }
  std::int64_t first_row(std::int64_t block) const { return block % row_blocks() * panels_ * kRows; }

  const TensorView<const float>&x_, &y_;
  const TensorView<const float>* bias_;
  const TensorView<float>& out_;
  int last_;
  std::int64_t panels_ = 0, block_bytes_ = 0;
};

}  // namespace

void fixed_point_product(const TensorView<const float>& x, const TensorView<const float>& y,
                         const TensorView<const float>* bias, const TensorView<float>& out, ThreadPool* pool,
                         FixedPointWork* work) {
  const Product product(x, y, bias, out);
  if (product.blocks() == 0 || product.rows() == 0 || product.columns() == 0) return;

  // As many row blocks at a time as there is room for: batches of small matrices keep all threads busy, too.
  const std::int64_t room = product.block_bytes() > 0 ? kPackedBytes / product.block_bytes() : product.blocks();
  const std::int64_t group = std::clamp<std::int64_t>(room, 1, product.blocks());
  char* panels = panels_of_this_thread().room<char>(group * product.block_bytes());
  const std::int64_t depth_blocks = blocks_of(product.depth(), kDepth);
  // Wide tasks read the packed rows less often; where they are few for the threads, narrow ones share out better. The
  // bits do not depend on it.
  const std::int64_t threads = pool != nullptr ? pool->threads() : 1;
  const bool few = threads > 1 && product.blocks() * blocks_of(product.columns(), kColumns) < 4 * threads;
  const std::int64_t width = few ? kColumns / 2 : kColumns;
  const std::int64_t column_blocks = blocks_of(product.columns(), width);
  constexpr std::int64_t kTogether = 8;  // panels packed at a time
  const std::int64_t packings = blocks_of(product.panels(), kTogether);
  std::mutex mutex;

  for (std::int64_t first = 0; first < product.blocks(); first += group) {
    const std::int64_t count = std::min(group, product.blocks() - first);
    const auto left = [&](std::int64_t i) { return product.left(first + i, panels + i * product.block_bytes()); };
    if (product.block_bytes() > 0) {
      parallel_for(pool, count * depth_blocks * packings, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const LeftRows rows = left(i / packings / depth_blocks);
          const std::int64_t panel = i % packings * kTogether;
          const std::int64_t packed = std::min(kTogether, rows.panel_count() - panel);
          if (packed > 0) pack_left(rows, i / packings % depth_blocks, panel, packed, scratch_of_this_thread());
        }
      });
    }
    parallel_for(pool, count * column_blocks, 1, [&](std::int64_t begin, std::int64_t end) {
      FixedPointWork done;
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t block = i / column_blocks;
        product.multiply(left(block), first + block, i % column_blocks * width, width, done);
      }
      if (work == nullptr) return;
      const std::lock_guard lock(mutex);
      *work += done;
    });
  }
}

}  // namespace aneval::emulator
