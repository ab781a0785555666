#include "ane/emulator/rules.h"

#include "ane/emulator/profile.h"
#include "common/error.h"
#include "common/names.h"

namespace aneval::emulator {
namespace {

struct RuleRow {
  Rule rule;
  std::string_view name;
  std::vector<RuleValue> values;
};

template <Accumulator kAccumulator>
bool adds_in(const Profile& p) {
  return p.accumulator == kAccumulator;
}
template <Summation kSummation>
bool sums(const Profile& p) {
  return p.reduce_sum == kSummation;
}
template <Summation kSummation>
void sum(Profile& p) {
  p.reduce_sum = kSummation;
}
template <Rounding kRounding>
bool rounds_products(const Profile& p) {
  return p.matmul_rounding == kRounding;
}
template <Rounding kRounding>
bool rounds_elements(const Profile& p) {
  return p.elementwise_rounding == kRounding;
}
template <Rounding kRounding>
void round_elements(Profile& p) {
  p.elementwise_rounding = kRounding;
}
/// An accumulator brings its rounding and its subnormals along.
template <Accumulator kAccumulator>
void add_in(Profile& p) {
  p.accumulator = kAccumulator;
  p.matmul_rounding = kAccumulator == Accumulator::fixed_point ? Rounding::half_away : Rounding::nearest_even;
  p.flush_subnormals = kAccumulator == Accumulator::four_lane;
}
bool from_tables(const Profile& p) { return p.functions == Functions::tables; }
bool exactly(const Profile& p) { return p.functions == Functions::exact; }

/// In the order of Rule.
const std::vector<RuleRow>& table() {
  using enum Accumulator;
  constexpr Rounding kEven = Rounding::nearest_even, kAway = Rounding::half_away;
  static const std::vector<RuleRow> rows = {
      {Rule::accumulator,
       "accumulator",
       {{"fp32", "fp32", adds_in<fp32>, add_in<fp32>},
        {"four_lane", "four consecutive products in a 12-bit truncating adder, their sums in fp32", adds_in<four_lane>,
         add_in<four_lane>},
        {"fixed_point",
         "fixed point, unit 2^-16: products rounded half away, dropped when their exponents sum to <= -17",
         adds_in<fixed_point>, add_in<fixed_point>}}},
      {Rule::overflow,
       "overflow",
       {{"fp16_range", "fp16 results of 65520 and more are infinite", adds_in<fp32>, nullptr},
        {"from_32768", "sums of 32768 and more are infinite", adds_in<four_lane>, nullptr},
        {"sticky_from_32768", "partial sums of 32768 and more are infinite, and stay so", adds_in<fixed_point>,
         nullptr}}},
      {Rule::matmul_rounding,
       "matmul_rounding",
       {{"nearest_even", "nearest, ties to even", rounds_products<kEven>, nullptr},
        {"half_away", "nearest, ties away from zero", rounds_products<kAway>, nullptr}}},
      {Rule::matmul_subnormals,
       "matmul_subnormals",
       {{"kept", "kept", adds_in<fp32>, nullptr},
        {"flushed", "operands flushed to zero", adds_in<four_lane>, nullptr},
        {"lowest_exponent", "kept, with exponent -14", adds_in<fixed_point>, nullptr}}},
      {Rule::elementwise,
       "elementwise",
       {{"nearest_even", "fp16, nearest, ties to even", rounds_elements<kEven>, round_elements<kEven>},
        {"half_away", "fp16, nearest, ties away from zero", rounds_elements<kAway>, round_elements<kAway>}}},
      {Rule::reduce_sum,
       "reduce_sum",
       {{"fp16", "left to right, every partial sum rounded to fp16", sums<Summation::fp16>, sum<Summation::fp16>},
        {"fp32", "in fp32, rounded once", sums<Summation::fp32>, sum<Summation::fp32>},
        {"wide", "exactly, rounded once", sums<Summation::wide>, sum<Summation::wide>}}},
      {Rule::slice,
       "slice",
       {{"exact", "exact", [](const Profile& p) { return !p.slice_gain; }, [](Profile& p) { p.slice_gain = false; }},
        {"limit_4094", "last axis, begin > 0: magnitudes above 4094 become infinite",
         [](const Profile& p) { return p.slice_gain; }, [](Profile& p) { p.slice_gain = true; }}}},
      {Rule::bias,
       "bias",
       {{"added_after", "added in fp32", [](const Profile& p) { return p.accumulator != fixed_point; }, nullptr},
        {"initial_value", "initial accumulator, rounded half away to 2^-16", adds_in<fixed_point>, nullptr}}},
      {Rule::sigmoid,
       "sigmoid",
       {{"exact", "exact, rounded", exactly, nullptr},
        {"tables", "33 points on [-8, 8], linear between",
         [](const Profile& p) { return from_tables(p) && p.measured_sigmoid == nullptr; }, nullptr},
        {"measured", "a table of every fp16 number, read off a device",
         [](const Profile& p) { return p.measured_sigmoid != nullptr; }, nullptr}}},
      {Rule::tanh_exp,
       "tanh_exp",
       {{"exact", "exact, rounded", exactly, nullptr},
        {"tables", "33 points on [0, 4]; 2^(i/32)", from_tables, nullptr}}},
      {Rule::softmax,
       "softmax",
       {{"exact", "exact, rounded", exactly, nullptr},
        {"tables", "difference, exp, sum as reduce_sum, inverse, product, each stored in fp16", from_tables, nullptr}}},
      {Rule::specials,
       "specials",
       {{"ieee", "IEEE 754", [](const Profile& p) { return p.specials == Specials::ieee; }, nullptr},
        {"ordinary", "exponent 31 is an ordinary number; -0 becomes +0",
         [](const Profile& p) { return p.specials == Specials::ordinary; }, nullptr}}},
  };
  return rows;
}

const RuleRow& row_of(Rule rule) { return table().at(static_cast<std::size_t>(rule)); }

}  // namespace

const std::vector<Rule>& all_rules() {
  static const std::vector<Rule> rules = [] {
    std::vector<Rule> all;
    for (const RuleRow& row : table()) all.push_back(row.rule);
    return all;
  }();
  return rules;
}

std::string_view rule_name(Rule rule) { return row_of(rule).name; }

Rule find_rule(std::string_view name) {
  std::vector<std::string> known;
  for (const RuleRow& row : table()) {
    if (row.name == name) return row.rule;
    known.emplace_back(row.name);
  }
  unknown_name("rule", name, known);
}

const std::vector<RuleValue>& rule_values(Rule rule) { return row_of(rule).values; }

const RuleValue& rule_value(const Profile& profile, Rule rule) {
  for (const RuleValue& value : rule_values(rule))
    if (value.holds(profile)) return value;
  throw std::logic_error("profile " + profile.name + " has no value of rule " + std::string(rule_name(rule)));
}

std::string rule_text(const Profile& profile, Rule rule) { return std::string(rule_value(profile, rule).text); }

bool is_setting(Rule rule) { return rule_values(rule).front().set != nullptr; }

void set_rule(Profile& profile, Rule rule, std::string_view value, const std::string& what) {
  if (!is_setting(rule))
    throw input_error(what, std::string(rule_name(rule)) + " is no setting: it follows from the others",
                      "set accumulator, elementwise, reduce_sum or slice");
  std::vector<std::string> known;
  for (const RuleValue& candidate : rule_values(rule)) {
    known.emplace_back(candidate.name);
    if (candidate.name != value) continue;
    candidate.set(profile);
    if (profile.specials == Specials::ieee &&
        (profile.accumulator != Accumulator::fp32 || profile.elementwise_rounding != Rounding::nearest_even ||
         profile.slice_gain))
      throw input_error(what, std::string(rule_name(rule)) + "=" + std::string(value) + " knows no IEEE infinities",
                        "set it on a chip's profile");
    return;
  }
  try {
    unknown_name("value of " + std::string(rule_name(rule)), value, known);
  } catch (const Error& error) {
    throw input_error(what + ": " + error.subject(), error.reason(), error.remedy());
  }
}

}  // namespace aneval::emulator
