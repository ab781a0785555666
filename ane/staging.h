// Weights and activations onto a surface, outputs off it, and from surface to surface. All offsets come from the
// PackedLayout; padding is never written (surfaces start as zeros). Conversion is fp32 -> fp16, to nearest even.
// weight_staging.cpp has the weights, staging.cpp slots and blocks.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "ane/packed_layout.h"
#include "ane/surface.h"
#include "common/tensor.h"
#include "common/thread_pool.h"

namespace aneval::ane {

/// Every weight slot of the layout from the model's tensors in their natural orientation (wq [Q, D], …), converted,
/// transposed where the slot holds a transpose, and scaled, in one pass. A null pool means the calling thread.
/// Errors: a tensor is missing or has another shape; nothing is written then.
void stage_weights(const PackedLayout& layout, const NamedTensors& weights, Surface& input, ThreadPool* pool = nullptr);

/// One kernel's input surface.
struct StagingTarget {
  const PackedLayout* layout;
  Surface* input;
};

/// The same for all surfaces of a layer. The bits do not depend on `passes`.
void stage_weights(std::span<const StagingTarget> targets, const NamedTensors& weights, ThreadPool* pool = nullptr,
                   WeightPasses passes = WeightPasses::per_tensor);

/// What stage_weights would write into a weight slot: its fp16 numbers row by row [channels, width] as they lie there,
/// padding +0 included. For weights that are compiled into a program. Errors: as stage_weights.
std::vector<half_t> staged_bits(const Slot& slot, const NamedTensors& weights);
/// The same numbers before they are rounded to fp16: fp32, with the slot's factor.
std::vector<float> staged_numbers(const Slot& slot, const NamedTensors& weights);

/// One slot from a logical matrix [channels, width] as it lies on the surface (so `wq_t` is [D, Q]).
void write_slot(const PackedLayout& layout, std::string_view slot, std::span<const float> values, Surface& input);
/// The same from fp16 bits.
void write_slot_bits(const PackedLayout& layout, std::string_view slot, std::span<const half_t> bits, Surface& input);
/// Reads a slot back, as the engine sees it (fp16 widened).
void read_slot(const PackedLayout& layout, std::string_view slot, Surface& input, std::span<float> values);

/// One block of the output as [channels, S], cropped of its padding.
void read_block(const PackedLayout& layout, std::string_view block, Surface& output, std::span<float> values);
void read_block_bits(const PackedLayout& layout, std::string_view block, Surface& output, std::span<half_t> bits);

/// A block of one kernel's output straight into an activation slot of another kernel's input, in fp16. The shapes of
/// block and slot must agree.
void copy_block(const PackedLayout& from, std::string_view block, Surface& output, const PackedLayout& to,
                std::string_view slot, Surface& input);

}  // namespace aneval::ane
