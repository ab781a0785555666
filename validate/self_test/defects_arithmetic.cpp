// Defects of a device's arithmetic: narrower sums, stores and tables than the profile has, and lost terms.
#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "validate/self_test/defects.h"

namespace aneval::validate {
namespace {

using emulator::Function;
using emulator::Step;
using emulator::StepKind;

bool anywhere(const DefectSite&) { return true; }
bool is_one_of(const DefectSite& site, std::initializer_list<std::string_view> kernels) {
  return std::ranges::find(kernels, site.kernel()) != kernels.end();
}
bool has_softmax(const DefectSite& site) {
  return is_one_of(site, {"sdpaFwd", "sdpaWoFwd", "sdpaCore", "sdpaBwd1", "sdpaBwd"});
}
bool has_row_sum(const DefectSite& site) { return is_one_of(site, {"sdpaBwd2", "sdpaBwd"}); }
bool has_sigmoid(const DefectSite& site) { return is_one_of(site, {"ffnFused", "ffnUpGate", "ffnBwdSiluW13t"}); }

Defect computed(const char* name, const char* summary, bool (*applies)(const DefectSite&), ArithmeticFault fault) {
  Defect defect{name, summary, Mechanism::arithmetic, applies};
  defect.arithmetic = std::move(fault);
  return defect;
}

/// Changes what steps of one kind store.
ArithmeticFault stored(StepKind kind, double (*change)(double)) {
  return {
      .after = [kind, change](const Step& step, double value) { return step.kind == kind ? change(value) : value; }};
}

/// Changes what products store, written as matmul or as conv.
ArithmeticFault product_stored(double (*change)(double)) {
  return {.after = [change](const Step& step, double value) {
    return step.kind == StepKind::matmul || step.kind == StepKind::conv ? change(value) : value;
  }};
}

}  // namespace

std::vector<Defect> arithmetic_defects() {
  using Product = ArithmeticFault::Product;
  std::vector<Defect> all;
  all.push_back(computed("fp16_accumulation", "partial sums of products are rounded to fp16", anywhere,
                         {.product = Product::fp16_sums}));
  all.push_back(computed("last_product_lost", "dot products leave out their last pair", anywhere,
                         {.product = Product::without_last}));
  all.push_back(
      computed("truncated_store", "results are cut towards zero instead of rounded", anywhere, {.truncates = true}));
  all.push_back(computed("bf16_store", "products are stored as bf16", anywhere, product_stored(rounded_to_bf16)));
  all.push_back(computed("subnormals_flushed", "products below 2^-14 are stored as zero", anywhere,
                         product_stored([](double value) { return std::abs(value) < 0x1p-14 ? 0.0 : value; })));
  all.push_back(computed("bf16_probabilities", "probabilities are stored as bf16", has_softmax,
                         stored(StepKind::softmax, rounded_to_bf16)));
  all.push_back(computed("probabilities_cut", "probabilities below 1/256 are stored as zero", has_softmax,
                         stored(StepKind::softmax, [](double value) { return value < 0x1p-8 ? 0.0 : value; })));
  all.push_back(computed("bf16_row_sum", "the row sum of P·dP is stored as bf16", has_row_sum,
                         stored(StepKind::reduce, rounded_to_bf16)));
  all.push_back(computed("row_sum_lost", "the row sum of P·dP is zero", has_row_sum,
                         stored(StepKind::reduce, [](double) { return 0.0; })));
  all.push_back(computed("coarse_sigmoid", "the sigmoid has steps of 1/256", has_sigmoid,
                         stored(StepKind::unary, [](double value) { return std::round(value * 256) / 256; })));
  return all;
}

}  // namespace aneval::validate
