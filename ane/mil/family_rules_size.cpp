// Rules about sizes: caps of ranks and axes, rows and surfaces of inputs, contractions, padded rows.
//
// Reported but not decidable from a text, and therefore no rules: programs that are too small to run (16³ products
// failed for lil-bro and slavko-at-klincov-it on M3, but d = 64 with 32 tokens ran: no threshold is known); models
// wider than 4096 that lose efficiency (rustane, M4 Max: a text does not say which of its axes is the model's width);
// kernels of one project that failed at one width (rustane#11, sdpaFwd at 1536 on M2 Max: one report, no rule);
// programs of baked convs that only compile for 512 channels (maderix/ANE#42: contradicted on the same chip by #28).
#include <fmt/format.h>

#include <unordered_set>

#include "ane/mil/family_rules.h"
#include "common/tensor.h"

namespace aneval::mil {

namespace {

/// The engine keeps rows of a tensor 64 bytes apart.
constexpr std::int64_t kRowBytes = 64;

using Extent = std::int64_t (*)(const Shape&);

std::int64_t rank_of(const Shape& shape) { return static_cast<std::int64_t>(shape.size()); }
std::int64_t width_of(const Shape& shape) { return shape.empty() ? 1 : shape.back(); }
std::int64_t height_of(const Shape& shape) { return shape.size() < 4 ? 1 : shape[shape.size() - 2]; }
/// Axis 1 of rank 4 and 5. Of lower ranks the axis before the last may be channels ([1, C, S]) or rows ([S, C]): it is
/// held to the caps of channels, which are the wider ones.
std::int64_t channels_of(const Shape& shape) {
  return shape.size() >= 4 ? shape[1] : shape.size() < 2 ? 1 : shape[shape.size() - 2];
}

/// Every tensor of the engine beyond a cap, but not again what takes it from an argument: one mistake, one finding.
void over_cap(const FunctionView& view, const Report& report, Extent extent, std::int64_t cap, std::string_view what,
              const Family& family) {
  std::unordered_set<std::string_view> over;
  const auto text = [&](const std::string& subject, const Shape& shape) {
    return fmt::format("{}: {} of {} in {} exceeds the {} that {} ({}) takes", subject, what, extent(shape),
                       shape_text(shape), cap, family.name, family.chip);
  };
  for (const Parameter& parameter : view.function().parameters) {
    if (!engine_data(parameter.type) || extent(parameter.type.shape) <= cap) continue;
    over.insert(parameter.name);
    report(parameter.location, text(named(parameter), parameter.type.shape));
  }
  for (const Operation& operation : view.function().operations) {
    if (!engine_data(operation.type) || extent(operation.type.shape) <= cap) continue;
    bool inherited = false;
    for (const Argument& argument : operation.arguments)
      for (const std::string& identifier : argument.values) inherited |= over.contains(identifier);
    over.insert(operation.result);
    if (!inherited) report(operation.location, text(named(operation), operation.type.shape));
  }
}

void find_rank(const FunctionView& view, const Family& family, const Report& report) {
  over_cap(view, report, rank_of, family.max_rank, "a rank", family);
}
void find_width(const FunctionView& view, const Family& family, const Report& report) {
  over_cap(view, report, width_of, family.max_width, "a last axis", family);
}
void find_height(const FunctionView& view, const Family& family, const Report& report) {
  over_cap(view, report, height_of, family.max_height, "a height", family);
}
void find_channels(const FunctionView& view, const Family& family, const Report& report) {
  over_cap(view, report, channels_of, family.max_channels, "a channel axis", family);
}

template <class Judge>  // bool(std::int64_t contraction)
void each_contraction(const FunctionView& view, const Report& report, const Judge& bad, std::string_view text) {
  for (const Operation& operation : view.function().operations) {
    if (operation.op != "matmul") continue;
    const std::optional<std::int64_t> sum = contraction(view, operation);
    if (sum && bad(*sum)) report(operation.location, fmt::format("{}: sums over {}, {}", named(operation), *sum, text));
  }
}

void find_contraction(const FunctionView& view, const Family& family, const Report& report) {
  each_contraction(
      view, report, [&](std::int64_t sum) { return sum > family.max_contraction; },
      fmt::format("more than the {} that {} ({}) takes", family.max_contraction, family.name, family.chip));
}

void find_contraction_multiple(const FunctionView& view, const Family&, const Report& report) {
  each_contraction(
      view, report, [](std::int64_t sum) { return sum % 32 != 0; },
      "which is no multiple of 32: the result was zeros, without an error");
}

std::int64_t row_bytes(const TensorType& type) { return width_of(type.shape) * dtype_bytes(type.dtype); }

template <class Judge>  // std::string(const Parameter&), empty when nothing is wrong
void each_input(const FunctionView& view, const Report& report, const Judge& judge) {
  for (const Parameter& parameter : view.function().parameters) {
    if (!engine_data(parameter.type)) continue;
    const std::string text = judge(parameter);
    if (!text.empty()) report(parameter.location, named(parameter) + ": " + text);
  }
}

void find_narrow_input(const FunctionView& view, const Family&, const Report& report) {
  each_input(view, report, [](const Parameter& parameter) {
    const std::int64_t bytes = row_bytes(parameter.type);
    if (bytes >= kRowBytes) return std::string();
    return fmt::format(
        "a last axis of {} has {} bytes, less than one row of {} (32 fp16 numbers): what is read is "
        "garbage; put tokens or weights last, or pad=32",
        width_of(parameter.type.shape), bytes, kRowBytes);
  });
}

void find_input_width(const FunctionView& view, const Family&, const Report& report) {
  each_input(view, report, [](const Parameter& parameter) {
    const std::int64_t bytes = row_bytes(parameter.type);
    if (bytes < kRowBytes || bytes % kRowBytes == 0) return std::string();
    return fmt::format(
        "a last axis of {} has {} bytes, no multiple of {} (32 fp16 numbers); pad it, as the variant "
        "pad=32 does",
        width_of(parameter.type.shape), bytes, kRowBytes);
  });
}

void find_input_width_16(const FunctionView& view, const Family&, const Report& report) {
  each_input(view, report, [](const Parameter& parameter) {
    const std::int64_t width = width_of(parameter.type.shape);
    return width % 16 == 0 ? std::string()
                           : fmt::format(
                                 "a last axis of {} is no multiple of 16: results were corrupted without an "
                                 "error",
                                 width);
  });
}

void find_input_width_64(const FunctionView& view, const Family&, const Report& report) {
  each_input(view, report, [](const Parameter& parameter) {
    const std::int64_t bytes = row_bytes(parameter.type);
    if (bytes % kRowBytes != 0 || bytes % (2 * kRowBytes) == 0) return std::string();
    return fmt::format(
        "a last axis of {} has {} bytes, no multiple of 128: one report wants that on M5, others ran "
        "with multiples of 64 (contested)",
        width_of(parameter.type.shape), bytes);
  });
}

void find_small_surface(const FunctionView& view, const Family& family, const Report& report) {
  each_input(view, report, [&](const Parameter& parameter) {
    const std::int64_t bytes = packed_bytes(parameter.type);
    if (bytes >= family.min_surface_bytes) return std::string();
    return fmt::format(
        "a surface of {} bytes is smaller than the {} that was reported as the least on {}: evaluations "
        "of such programs failed (contested: other projects ran smaller ones)",
        bytes, family.min_surface_bytes, family.chip);
  });
}

void find_fp32_input(const FunctionView& view, const Family&, const Report& report) {
  each_input(view, report, [](const Parameter& parameter) {
    return parameter.type.dtype != DType::fp32
               ? std::string()
               : std::string("fp32 on the surface is twice the bytes and a cast: fp16 was 37 % faster");
  });
}

/// Tensors whose rows are mostly padding, where that begins or gets worse; inputs have narrow-input. A convolution's
/// weight [N, C, 1, 1] is no tensor of rows: sliced from a packed input it cost lil-bro (M3 Max) what a matmul costs.
void find_padded_rows(const FunctionView& view, const Family&, const Report& report) {
  std::unordered_set<std::string_view> filters;
  for (const Operation& operation : view.function().operations)
    if (const std::string* weight = operation.op == "conv" ? view.identifier(operation, "weight") : nullptr)
      filters.insert(*weight);
  for (const Operation& operation : view.function().operations) {
    if (filters.contains(operation.result)) continue;
    if (!engine_data(operation.type) || operation.type.shape.empty() || view.constant(operation.result)) continue;
    const std::int64_t bytes = row_bytes(operation.type),
                       rows = packed_bytes(operation.type) / std::max<std::int64_t>(bytes, 1);
    if (bytes >= kRowBytes || rows < 2) continue;
    bool inherited = false;
    for (const Argument& argument : operation.arguments)
      for (const std::string& identifier : argument.values) {
        const ArgumentInfo* info = view.value(identifier);
        inherited |= info != nullptr && engine_data(info->type) && !info->type.shape.empty() &&
                     !view.constant(identifier) && row_bytes(info->type) <= bytes;
      }
    if (inherited) continue;
    report(operation.location,
           fmt::format("{}: rows of {} bytes are padded to {}: {} moves {} times its data, {} bytes", named(operation),
                       bytes, kRowBytes, shape_text(operation.type.shape), kRowBytes / bytes, rows * kRowBytes));
  }
}

/// One finding per function: every activation of a usual kernel is larger.
void find_large_elementwise(const FunctionView& view, const Family&, const Report& report) {
  static const std::unordered_set<std::string_view> elementwise = {
      "add", "sub",  "mul",   "real_div", "maximum", "minimum", "pow",  "sigmoid", "tanh",
      "exp", "sqrt", "rsqrt", "square",   "silu",    "relu",    "gelu", "log"};
  constexpr std::int64_t kMost = 16384;
  const Operation* first = nullptr;
  std::size_t further = 0;
  for (const Operation& operation : view.function().operations) {
    if (!elementwise.contains(operation.op) || element_count(operation.type.shape).value_or(0) <= kMost) continue;
    if (first == nullptr)
      first = &operation;
    else
      ++further;
  }
  if (first == nullptr) return;
  report(first->location,
         fmt::format("{}: {} elements{}: elementwise operations of more than {} hung on M1 for imperatormk/ane-train "
                     "(contested: maderix/ANE runs larger ones on M1 Max); set a timeout",
                     named(*first), element_count(first->type.shape).value_or(0),
                     further == 0 ? "" : fmt::format(", and {} further operations", further), kMost));
}

}  // namespace

std::vector<FamilyRule> size_rules() {
  constexpr FamilySet kMeasuredCaps = kH13 | kH14 | kH17, kTableCaps = kH15 | kH16 | kH18;
  constexpr std::string_view kCrossChip = "ANEForge cross-chip (M1, M2, M5 measured; others from its capability table)";
  // Caps are errors everywhere: the compiler's own tables say them, measured or not.
  constexpr FamilySet kCaps = kMeasuredCaps | kTableCaps;
  constexpr Severity kError = Severity::error, kWarning = Severity::warning;
  return {
      {"rank-cap", kError, Symptom::compile, kCaps, 0, "a tensor of rank above 5", "ANEForge op-quirks", find_rank,
       true},
      {"width-cap", kError, Symptom::compile, kCaps, 0, "a last axis above 16384 (h13-h15) or 65536 (h16-h18)",
       kCrossChip, find_width, true},
      {"height-cap", kError, Symptom::compile, kCaps, 0,
       "an axis before the last above 16384 (h13-h15) or 65536 (h16-h18), rank 4 and more", kCrossChip, find_height,
       true},
      {"channel-cap", kError, Symptom::compile, kCaps, 0, "a channel axis above 65536", kCrossChip, find_channels,
       true},
      {"contraction-cap", kError, Symptom::compile, kCaps, 0,
       "a matmul that sums over more than 16384 (h13-h15) or 65536 (h16-h18)", kCrossChip, find_contraction, true},
      {"contraction-multiple", kError, Symptom::silent, kH13, kH14 | kH15 | kH16 | kH17 | kH18,
       "a matmul that sums over no multiple of 32", "imperatormk/ane-train, maderix/ANE#47 (M1, M1 Pro)",
       find_contraction_multiple},
      {"narrow-input", kError, Symptom::silent, kAllFamilies, 0,
       "an input whose last axis is shorter than a row of 64 bytes (32 fp16)",
       "skyfallsin ANE field guide (M3 Max); rows of 64 bytes everywhere: tmc/apple, tinygrad", find_narrow_input},
      {"input-width", kError, Symptom::eval, kAllFamilies, 0,
       "an input whose last axis is no multiple of 64 bytes (32 fp16)",
       "lil-bro ane_residency (M3 Max: 513 to 528 fail, 512, 544, 576 run); rows of 64 bytes everywhere: tmc/apple, "
       "tinygrad",
       find_input_width},
      {"input-width-16", kWarning, Symptom::silent, kH16, 0,
       "an input whose last axis is no multiple of 16: corrupted instead of refused", "rustane README (M4 Max), libane",
       find_input_width_16},
      {"input-width-64", kWarning, Symptom::eval, kH17, 0,
       "an input whose last axis is no multiple of 128 bytes (contested)", "maderix/ANE#35 (M5)", find_input_width_64},
      {"small-surface", kWarning, Symptom::eval, kH13 | kH16, 0,
       "an input surface below 2048 (h13) or 49152 bytes (h16) (contested)",
       "imperatormk/ane-train (M1), Orion constraints 4 (M4 Max); contested by lil-bro (M3 Max)", find_small_surface},
      {"fp32-input", kWarning, Symptom::performance, kAllFamilies, 0, "an input of fp32", "maderix/ANE README",
       find_fp32_input},
      {"padded-rows", kWarning, Symptom::performance, kAllFamilies, 0,
       "a tensor whose last axis is shorter than a row of 64 bytes: RoPE's pairs and halves are",
       "Apple's layout rule; lil-bro (M3 Max)", find_padded_rows},
      {"large-elementwise", kWarning, Symptom::hang, kH13, 0,
       "an elementwise operation of more than 16384 elements (contested)",
       "imperatormk/ane-train (M1); contested by maderix/ANE (M1 Max)", find_large_elementwise},
  };
}

}  // namespace aneval::mil
