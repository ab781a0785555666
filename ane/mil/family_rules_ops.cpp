// Rules about single operations: those that a family refuses or gets wrong, also ones that this project does not know
// (the general check then says so, and the rule here adds why).
//
// No rule: concat, reshape, transpose, slices, reductions and pow. Orion (concat, M4 Max) and imperatormk/ane-train
// (all of them, M1) report them as refused, but the kernels of maderix/ANE use every one of them and run on M1 Max to
// M5, so that a finding would only teach people to ignore findings.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <unordered_set>

#include "ane/mil/family_rules.h"
#include "common/tensor.h"

namespace aneval::mil {

namespace {

/// report(operation, text after the operation's name)
class Reporter {
 public:
  explicit Reporter(const Report& report) : report_(report) {}
  void operator()(const Operation& operation, const std::string& text) const {
    report_(operation.location, named(operation) + ": " + text);
  }

 private:
  const Report& report_;
};

template <class Judge>  // void(const Operation&, const Reporter&)
void each_op(const FunctionView& view, const Report& report, std::string_view op, const Judge& judge) {
  const Reporter reporter(report);
  for (const Operation& operation : view.function().operations)
    if (operation.op == op) judge(operation, reporter);
}

void find_tile(const FunctionView& view, const Family&, const Report& report) {
  each_op(view, report, "tile", [](const Operation& operation, const Reporter& found) {
    found(operation, "every later evaluation of the process fails once a program with tile was loaded; use concat");
  });
}

void find_gelu(const FunctionView& view, const Family&, const Report& report) {
  each_op(view, report, "gelu", [](const Operation& operation, const Reporter& found) {
    found(operation, "gelu is refused in MIL text; write it with tanh or sigmoid");
  });
}

void find_reduce_mean(const FunctionView& view, const Family&, const Report& report) {
  each_op(view, report, "reduce_mean", [](const Operation& operation, const Reporter& found) {
    found(operation, "reduce_mean is refused in MIL text; write reduce_sum and a multiplication by 1/n");
  });
}

void find_log(const FunctionView& view, const Family&, const Report& report) {
  each_op(view, report, "log", [](const Operation& operation, const Reporter& found) {
    if (operation.find("epsilon") == nullptr) found(operation, "log without epsilon is refused; give one");
  });
}

void find_layer_norm(const FunctionView& view, const Family&, const Report& report) {
  each_op(view, report, "layer_norm", [](const Operation& operation, const Reporter& found) {
    found(operation,
          "whether layer_norm compiles depends on the shape, without order, and on the values of its scale; "
          "probe this one, or write the norm out");
  });
}

void find_rsqrt(const FunctionView& view, const Family&, const Report& report) {
  // What is still a reduced value: a reduction, and elementwise operations and reshapes of it.
  static const std::unordered_set<std::string_view> keeps = {"add",     "sub",     "mul",         "real_div", "maximum",
                                                             "minimum", "reshape", "expand_dims", "squeeze",  "cast"};
  std::unordered_set<std::string_view> reduced;
  const Reporter found(report);
  for (const Operation& operation : view.function().operations) {
    const Argument* first = nullptr;
    for (const Argument& argument : operation.arguments)
      for (const std::string& identifier : argument.values)
        if (reduced.contains(identifier)) first = &argument;
    if (operation.op == "rsqrt" && first != nullptr)
      found(operation, "rsqrt of a reduced value is refused; write pow with -0.5");
    if (operation.op.starts_with("reduce_") || (first != nullptr && keeps.contains(operation.op)))
      reduced.insert(operation.result);
  }
}

void find_cast(const FunctionView& view, const Family&, const Report& report) {
  each_op(view, report, "cast", [](const Operation& operation, const Reporter& found) {
    found(operation, "cast is refused on M1 and M2; keep every surface in fp16");
  });
}

constexpr std::string_view kSdpa = "scaled_dot_product_attention";

void find_sdpa_mask(const FunctionView& view, const Family&, const Report& report) {
  each_op(view, report, kSdpa, [](const Operation& operation, const Reporter& found) {
    if (operation.find("attn_mask") != nullptr)
      found(operation,
            "the mask is ignored without an error: attention is not causal; write matmul, add, softmax, "
            "matmul");
  });
}

void find_sdpa_size(const FunctionView& view, const Family&, const Report& report) {
  each_op(view, report, kSdpa, [&](const Operation& operation, const Reporter& found) {
    const ArgumentInfo *query = view.argument(operation, "query"), *key = view.argument(operation, "key");
    if (query == nullptr || key == nullptr || query->type.shape.size() < 2 || key->type.shape.size() < 2) return;
    const std::int64_t queries = query->type.shape[query->type.shape.size() - 2],
                       keys = key->type.shape[key->type.shape.size() - 2];
    if (std::min(queries, keys) >= 512 || std::max(queries, keys) > 2048)
      found(operation,
            fmt::format("{} queries and {} keys: the engine's own attention gives wrong data when both reach 512, or "
                        "one exceeds 2048; write matmul, add, softmax, matmul",
                        queries, keys));
  });
}

void find_softmax(const FunctionView& view, const Family&, const Report& report) {
  each_op(view, report, "softmax", [&](const Operation& operation, const Reporter& found) {
    const ArgumentInfo* x = view.argument(operation, "x");
    if (x == nullptr) return;
    // An axis that is given but no constant is not judged; -1 is the operation's default.
    const auto given = view.integer(operation, "axis");
    if (!given && operation.find("axis") != nullptr) return;
    const auto axis = front_axis(given.value_or(-1), x->type.shape.size());
    if (!axis) return;
    const std::int64_t extent = x->type.shape[*axis];
    if (extent > 0 && !std::has_single_bit(static_cast<std::uint64_t>(extent)))
      found(operation, fmt::format("over {}, no power of two: 257 failed where 256 ran", extent));
  });
}

void find_transpose_flag(const FunctionView& view, const Family&, const Report& report) {
  each_op(view, report, "matmul", [&](const Operation& operation, const Reporter& found) {
    for (const std::string_view key : {"transpose_x", "transpose_y"}) {
      const std::string* flag = view.identifier(operation, key);
      if (flag != nullptr && !view.constant(*flag))
        found(operation, fmt::format("'{}' must name a const of the text, '{}' is none", key, *flag));
    }
  });
}

/// The value that `identifier` is another shape of, through operations that keep all elements.
std::string_view reshaped_from(const FunctionView& view, std::string_view identifier) {
  // A program with errors may go round in circles; no honest chain is this long.
  for (int step = 0; step < 64; ++step) {
    const Operation* operation = view.producer(identifier);
    const bool keeps = operation != nullptr &&
                       (operation->op == "reshape" || operation->op == "transpose" || operation->op == "expand_dims" ||
                        operation->op == "squeeze" || operation->op == "cast");
    const std::string* x = keeps ? view.identifier(*operation, "x") : nullptr;
    if (x == nullptr) break;
    identifier = *x;
  }
  return identifier;
}

/// Convs whose weight is no constant: judge(operation, weight's identifier, reporter).
template <class Judge>
void each_dynamic_conv(const FunctionView& view, const Report& report, const Judge& judge) {
  each_op(view, report, "conv", [&](const Operation& operation, const Reporter& found) {
    const std::string* weight = view.identifier(operation, "weight");
    if (weight != nullptr && !view.constant(reshaped_from(view, *weight))) judge(operation, *weight, found);
  });
}

void find_conv_input(const FunctionView& view, const Family&, const Report& report) {
  each_dynamic_conv(view, report, [&](const Operation& operation, const std::string& weight, const Reporter& found) {
    // One input that is both is packed; a slice of a packed input is known to work (lil-bro).
    const std::string_view source = reshaped_from(view, weight);
    if (view.is_parameter(source) && view.function().parameters.size() > 1)
      found(operation, fmt::format("its weight is the input '{}': the data of a second input are ignored without an "
                                   "error; slice the weight out of one packed input, or use matmul",
                                   source));
  });
}

void find_conv_batch(const FunctionView& view, const Family&, const Report& report) {
  each_dynamic_conv(view, report, [&](const Operation& operation, const std::string&, const Reporter& found) {
    const ArgumentInfo* x = view.argument(operation, "x");
    if (x != nullptr && x->type.shape.size() > 2 && x->type.shape[0] > 1)
      found(operation, fmt::format("a batch of {} with a weight that is no constant; only a batch of 1 compiles",
                                   x->type.shape[0]));
  });
}

void find_conv_groups(const FunctionView& view, const Family&, const Report& report) {
  each_dynamic_conv(view, report, [&](const Operation& operation, const std::string&, const Reporter& found) {
    const std::int64_t groups = view.integer(operation, "groups").value_or(1);
    if (groups > 1)
      found(operation,
            fmt::format("{} groups with a weight that is no constant are refused as an invalid program", groups));
  });
}

void find_conv_bias(const FunctionView& view, const Family&, const Report& report) {
  each_op(view, report, "conv", [](const Operation& operation, const Reporter& found) {
    if (operation.find("bias") != nullptr) found(operation, "a bias is refused in MIL text; add it afterwards");
  });
}

void find_kernel_width(const FunctionView& view, const Family& family, const Report& report) {
  each_op(view, report, "conv", [&](const Operation& operation, const Reporter& found) {
    const ArgumentInfo* weight = view.argument(operation, "weight");
    if (weight == nullptr || weight->type.shape.size() < 3 || weight->type.shape.back() <= family.max_kernel_width)
      return;
    found(operation, fmt::format("a kernel width of {} exceeds the {} that {} ({}) takes", weight->type.shape.back(),
                                 family.max_kernel_width, family.name, family.chip));
  });
}

void find_classifier(const FunctionView& view, const Family&, const Report& report) {
  constexpr std::int64_t kRefused = 32000;
  each_op(view, report, "conv", [&](const Operation& operation, const Reporter& found) {
    const ArgumentInfo* x = view.argument(operation, "x");
    if (x != nullptr && x->type.shape.size() > 2 && x->type.shape[1] >= kRefused)
      found(operation, fmt::format("{} input channels: {} were refused, although the axis cap is 65536 (contested); "
                                   "split them",
                                   x->type.shape[1], kRefused));
  });
}

/// Products of which both operands come from 8 bits.
template <class Judge>
void each_integer_product(const FunctionView& view, const Report& report, std::string_view op, const Judge& judge) {
  const std::string_view weight = op == "conv" ? "weight" : "y";
  each_op(view, report, op, [&](const Operation& operation, const Reporter& found) {
    for (const std::string_view key : {std::string_view("x"), weight}) {
      const std::string* identifier = view.identifier(operation, key);
      const Operation* from = identifier == nullptr ? nullptr : view.producer(reshaped_from(view, *identifier));
      if (from == nullptr || (from->op != "dequantize" && from->op != "constexpr_affine_dequantize")) return;
    }
    judge(operation, found);
  });
}

void find_eight_bits(const FunctionView& view, const Family&, const Report& report) {
  for (const std::string_view op : {"conv", "matmul"})
    each_integer_product(view, report, op, [](const Operation& operation, const Reporter& found) {
      found(
          operation,
          "both operands have 8 bits: nobody reports that M1, M2 or M3 multiply such numbers any faster than fp16, or "
          "in which arithmetic");
    });
}

void find_eight_bit_matmul(const FunctionView& view, const Family&, const Report& report) {
  each_integer_product(view, report, "matmul", [](const Operation& operation, const Reporter& found) {
    found(operation,
          "both operands have 8 bits: that the engine adds up integers was measured of conv alone; of a matmul it may "
          "multiply fp16 numbers, with the limits of those");
  });
}

}  // namespace

std::vector<FamilyRule> operation_rules() {
  constexpr Severity kError = Severity::error, kWarning = Severity::warning;
  constexpr FamilySet kM3M4 = kH15 | kH16, kOthers = kH13 | kH14 | kH17 | kH18;
  return {
      // ANEForge compiles tile for M1 and M5, by another way in.
      {"tile", kError, Symptom::eval, kH15, kH14 | kH16 | kH18, "tile: fails, and later evaluations with it",
       "skyfallsin ANE field guide (M3 Max)", find_tile},
      // The M6 study and ANEForge measured gelu on M1, M5 and M6.
      {"gelu", kError, Symptom::compile, kM3M4, 0, "gelu as one operation",
       "Orion constraints 10, rustane (M4 Max); Espresso port notes (M3 Max)", find_gelu},
      {"reduce-mean", kError, Symptom::compile, kM3M4, kOthers, "reduce_mean",
       "Orion constraints, rustane (M4 Max); Espresso port notes (M3 Max)", find_reduce_mean},
      {"rsqrt-after-reduce", kError, Symptom::compile, kM3M4, kOthers, "rsqrt of a reduced value",
       "Orion constraints, rustane (M4 Max); Espresso port notes (M3 Max)", find_rsqrt},
      {"log-epsilon", kError, Symptom::compile, kM3M4, 0, "log without epsilon",
       "Orion constraints, rustane (M4 Max); Espresso port notes (M3 Max)", find_log},
      {"layer-norm", kWarning, Symptom::compile, kH13 | kH14 | kH17, kH15 | kH16 | kH18,
       "layer_norm: compiles for some shapes and scales only", "ANEForge#149 (M1, M2 Pro, M5)", find_layer_norm},
      {"cast", kError, Symptom::compile, kH13 | kH14, 0, "cast", "maderix/ANE#6 (M1 Pro, M2)", find_cast},
      {"sdpa-mask", kError, Symptom::silent, kH16, kH15 | kOthers,
       "scaled_dot_product_attention with a mask: it is ignored", "maderix/ANE (M4), Orion constraints 6 (M4 Max)",
       find_sdpa_mask},
      {"sdpa-size", kError, Symptom::silent, kH13 | kH17, kH14 | kH15 | kH16 | kH18,
       "scaled_dot_product_attention of 512 and more queries and keys, or above 2048",
       "ANEForge op-quirks (M1, M5 Pro)", find_sdpa_size},
      {"softmax-extent", kWarning, Symptom::eval, kH15, kH16 | kOthers, "softmax over no power of two",
       "Espresso port notes (M3 Max), hollance/neural-engine#44", find_softmax},
      {"transpose-flag", kError, Symptom::compile, kH16, kH15 | kOthers,
       "a transpose flag of matmul that names no const", "Orion README (M4 Max)", find_transpose_flag},
      {"conv-second-input", kError, Symptom::silent, kH15, kH16 | kOthers,
       "a conv whose weight is an input of its own: its data are ignored", "skyfallsin ANE field guide (M3 Max)",
       find_conv_input},
      {"dynamic-conv-batch", kError, Symptom::compile, kAllFamilies, 0,
       "a conv of more than one batch whose weight is no constant", "ANEForge op-quirks", find_conv_batch},
      {"dynamic-conv-groups", kError, Symptom::compile, kH13, kM3M4 | kH14 | kH17 | kH18,
       "a grouped conv whose weight is no constant", "imperatormk/ane-train (M1)", find_conv_groups},
      {"conv-bias", kError, Symptom::compile, kH16, kH15 | kOthers, "a conv with a bias", "Orion README (M4 Max)",
       find_conv_bias},
      {"eight-bit-product", kWarning, Symptom::performance, kH13 | kH14 | kH15, 0,
       "a product of two operands of 8 bits: no report of any gain",
       "maderix/ANE (M4: 1.9 times as fast), #50 (M5 Max); M6 study, H50 (M6)", find_eight_bits},
      {"eight-bit-matmul", kWarning, Symptom::silent, kH16 | kH17 | kH18, 0,
       "a matmul of two operands of 8 bits: whether integers are added up is unknown",
       "M6 study, H50, measured conv alone", find_eight_bit_matmul},
      {"kernel-width-cap", kError, Symptom::compile, kAllFamilies, 0, "a conv kernel wider than 13 (h13) or 15",
       "ANEForge cross-chip, op-quirks", find_kernel_width},
      {"classifier-channels", kWarning, Symptom::compile, kH16, 0,
       "a conv of 32000 and more input channels (contested)",
       "dev-erik/ANE, maderix/ANE#26 (M4 Pro); contested by ANEForge's cap of 65536", find_classifier},
  };
}

}  // namespace aneval::mil
