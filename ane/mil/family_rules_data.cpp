// Rules about how values meet: slices and gathers along the last axis, broadcasts, sqrt, products with zero, depth.
//
// The engine's numbers (accumulators, lookup tables, flushed products) are no rules here: profiles of the emulator have
// them, because they change values in every program. Nor is what depends on the values that arrive at run time.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "ane/mil/family_rules.h"
#include "common/tensor.h"

namespace aneval::mil {

namespace {

/// Where a slice begins on the last axis; nothing when that is not constant.
std::optional<std::int64_t> last_begin(const FunctionView& view, const Operation& slice) {
  const ArgumentInfo* x = view.argument(slice, "x");
  const auto begin = view.integers(slice, "begin");
  if (x == nullptr || !begin || begin->empty() || begin->size() != x->type.shape.size()) return std::nullopt;
  if (slice.op == "slice_by_index") {
    const auto mask = view.integers(slice, "begin_mask");
    if (mask && mask->size() == begin->size() && mask->back() != 0) return 0;
  }
  return begin->back() < 0 ? begin->back() + x->type.shape.back() : begin->back();
}

void find_slice(const FunctionView& view, const Family& family, const Report& report) {
  for (const Operation& operation : view.function().operations) {
    if (operation.op != "slice_by_size" && operation.op != "slice_by_index") continue;
    const std::int64_t begin = last_begin(view, operation).value_or(0);
    if (begin == 0) continue;
    const bool measured = family.slice_crop == SliceCrop::saturates;
    report(operation.location,
           fmt::format("{}: begins at {} of the last axis: of its {} values, those beyond ±4094 {} infinite; what may "
                       "grow (scaled gradients, residuals) belongs first, or along the channels{}",
                       named(operation), begin, element_count(operation.type.shape).value_or(0),
                       measured ? "become" : "may become",
                       measured ? "" : " (contested: ANEForge's pages disagree where it ends)"));
  }
}

void find_gather(const FunctionView& view, const Family&, const Report& report) {
  for (const Operation& operation : view.function().operations) {
    if (operation.op != "gather" && operation.op != "gather_along_axis") continue;
    const ArgumentInfo* x = view.argument(operation, "x");
    const auto given = view.integer(operation, "axis");
    if (x == nullptr || (!given && operation.find("axis") != nullptr)) continue;
    const auto axis = front_axis(given.value_or(0), x->type.shape.size());
    if (axis && *axis + 1 == x->type.shape.size())
      report(operation.location, fmt::format("{}: gathers along the last axis: wrong elements without an error; "
                                             "transpose that axis away first",
                                             named(operation)));
  }
}

bool binary(const Operation& operation) {
  static const std::vector<std::string_view> ops = {"add", "sub", "mul", "real_div", "maximum", "minimum", "pow"};
  return std::find(ops.begin(), ops.end(), operation.op) != ops.end();
}

/// Both operands of a binary operation; false when one is unknown.
bool operands(const FunctionView& view, const Operation& operation, const ArgumentInfo*& x, const ArgumentInfo*& y) {
  x = view.argument(operation, "x"), y = view.argument(operation, "y");
  return x != nullptr && y != nullptr;
}

void find_broadcast(const FunctionView& view, const Family&, const Report& report) {
  for (const Operation& operation : view.function().operations) {
    const ArgumentInfo *x = nullptr, *y = nullptr;
    if (!binary(operation) || !operands(view, operation, x, y)) continue;
    for (const auto& [one, other] : {std::pair{x, y}, std::pair{y, x}}) {
      const Shape &small = one->type.shape, &large = other->type.shape;
      if (small.empty() || large.empty() || small.back() != 1 || large.back() == 1) continue;
      report(operation.location,
             fmt::format("{}: {} is broadcast along the last axis to {}: zeros or wrong values without an error on M1 "
                         "for imperatormk/ane-train (contested: maderix/ANE does it in one packed program)",
                         named(operation), shape_text(small), shape_text(large)));
      break;
    }
  }
}

void find_sqrt(const FunctionView& view, const Family&, const Report& report) {
  for (const Operation& operation : view.function().operations) {
    const ArgumentInfo *x = nullptr, *y = nullptr;
    if (!binary(operation) || !operands(view, operation, x, y)) continue;
    for (const std::string_view key : {"x", "y"}) {
      const Operation* root = view.producer(*view.identifier(operation, key));
      const bool grows = root != nullptr && root->type.shape != operation.type.shape;
      if (root == nullptr || root->op != "sqrt" || (operation.op != "real_div" && !grows)) continue;
      report(operation.location,
             fmt::format(
                 "{}: takes the sqrt '{}' {}: wrong values without an error on M1 when the two are fused; write "
                 "pow with 0.5 or -0.5, or two programs",
                 named(operation), root->result, operation.op == "real_div" ? "in a division" : "and broadcasts it"));
      break;
    }
  }
}

void find_zero_product(const FunctionView& view, const Family&, const Report& report) {
  for (const Operation& operation : view.function().operations) {
    const ArgumentInfo *x = nullptr, *y = nullptr;
    if (operation.op != "mul" || !operands(view, operation, x, y)) continue;
    const std::string* names[] = {view.identifier(operation, "x"), view.identifier(operation, "y")};
    const ArgumentInfo* infos[] = {x, y};
    for (const std::size_t reduced : {std::size_t{0}, std::size_t{1}}) {
      const Operation* root = view.producer(*names[reduced]);
      const Literal* factor = infos[1 - reduced]->literal;
      const auto* values = factor == nullptr ? nullptr : std::get_if<std::vector<double>>(&factor->value);
      if (root == nullptr || !root->op.starts_with("reduce_") || values == nullptr || values->empty()) continue;
      if (std::all_of(values->begin(), values->end(), [](double value) { return value == 0; }))
        report(operation.location,
               fmt::format("{}: the reduced '{}' times zero is refused", named(operation), root->result));
    }
  }
}

void find_depth(const FunctionView& view, const Family&, const Report& report) {
  constexpr int kMost = 383;
  std::unordered_map<std::string_view, int> depths;
  for (const Operation& operation : view.function().operations) {
    int depth = 0;
    for (const Argument& argument : operation.arguments)
      for (const std::string& identifier : argument.values) {
        const auto found = depths.find(identifier);
        if (found != depths.end()) depth = std::max(depth, found->second);
      }
    if (operation.op == "matmul" || operation.op == "conv") ++depth;
    if (depth > kMost)
      return report(operation.location,
                    fmt::format("{}: the {}th matmul or conv of one chain: 384 blocks ended the compile service on M4, "
                                "and 387 on M6 blocked every program of the system; split it",
                                named(operation), depth));
    if (depth > 0) depths.emplace(operation.result, depth);
  }
}

}  // namespace

std::vector<FamilyRule> data_rules() {
  constexpr Severity kError = Severity::error, kWarning = Severity::warning;
  return {
      {"slice-begin", kWarning, Symptom::silent, kH13 | kH14, kH15,
       "a slice that begins inside the last axis: values beyond ±4094 become infinite",
       "ANEForge numeric-cliffs, rooflines (M1, M1 Max, M2 Pro; M4, M5 exact), cross-chip (M1 only)", find_slice},
      {"gather-width", kError, Symptom::silent, kH13 | kH14, kH15, "a gather along the last axis: wrong elements",
       "ANEForge op-quirks (M1, M2; correct from M4 on)", find_gather},
      {"broadcast-width", kWarning, Symptom::silent, kH13, 0, "an operand broadcast along the last axis (contested)",
       "imperatormk/ane-train (M1); contested by maderix/ANE (M1 Max)", find_broadcast},
      {"sqrt-fused", kWarning, Symptom::silent, kH13, 0, "a sqrt that is broadcast or divided",
       "imperatormk/ane-train (M1)", find_sqrt},
      {"zero-product", kError, Symptom::compile, kH17, 0, "a reduced value times zero", "ANEForge mil-primer (M5)",
       find_zero_product},
      {"depth", kWarning, Symptom::hang, kH16 | kH18, kH13 | kH14 | kH15 | kH17,
       "a chain of more than 383 products (the sources count blocks of their own programs)",
       "M6 microarchitecture study, defects A1 and A2 (M4, M6)", find_depth},
  };
}

}  // namespace aneval::mil
