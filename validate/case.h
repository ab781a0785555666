// A case: one kernel at one shape under one variant with one set of data. Its canonical text is the CSV key, the
// filter, the test's name, the baseline's key and the command line that reproduces it:
//
//   kernel=sdpaFwd;model=Qwen3-0.6B;seq=256;head_map=cyclic;data=random;amp=1;seed=1
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ane/model_shape.h"
#include "ane/variant.h"

namespace aneval::validate {

enum class DataKind {
  random,  // activations N(0, amp²), weights N(0, 1/fan_in), gradients N(0, (amp·grad)²), times the loss scale
  exact,   // integers and selections: every linear block, and attention that picks one key, without any rounding
  real,    // captured from a trained model running on a text; `layer` says where
  init,    // the same from a randomly initialised model on random tokens, both from the seed
  // Random data with a structure that trained models have and independent numbers do not (case_data_structured.cpp).
  sinks,    // a few keys that almost every query attends to, and the tokens of massive activations
  means,    // every channel has an offset of its own that all tokens share
  repeats,  // few distinct tokens, repeated
};

/// Whether the data are captured from a model and do not come from the case alone.
inline bool from_model(DataKind kind) { return kind == DataKind::real || kind == DataKind::init; }

/// The structured kinds of random data.
inline constexpr DataKind kStructuredKinds[] = {DataKind::sinks, DataKind::means, DataKind::repeats};
bool is_structured(DataKind kind);

std::string_view data_kind_name(DataKind kind);

struct Case {
  std::string kernel;
  ModelShape shape;
  ane::Variant variant;
  std::int64_t ic = 0, oc = 0;  // dynMatmul only
  DataKind data = DataKind::random;
  double amplitude = 1.0, gradient = 1.0;
  double loss_scale = 1.0;  // factor on every gradient that the kernel is given
  std::uint64_t seed = 1;
  std::optional<std::int64_t> layer;
};

/// Keys in a fixed order; defaults of variant, grad, loss_scale and layer are left out; a shape that is no preset is
/// spelled out (dim, hidden, heads, …), so that the text is complete by itself.
std::string case_text(const Case& c);

/// Reads what case_text writes, keys in any order. `base` gives what the text leaves out. Errors name an unknown key or
/// value and the nearest known one, and impossible shapes.
Case parse_case(std::string_view text, const Case& base = {});

/// Whether the case contains every key=value of `filter` ("kernel=sdpaFwd;pad=32"); an empty filter fits all.
bool matches(const Case& c, std::string_view filter);

}  // namespace aneval::validate
