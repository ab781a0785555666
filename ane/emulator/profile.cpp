#include "ane/emulator/profile.h"

#include "common/error.h"
#include "common/names.h"

namespace aneval::emulator {
namespace {

using enum Evidence;

// Sources, as they are named in docs/numerics.md.
constexpr std::string_view kStudy = "M6 study (751K), notes/numerics.md: probes on M4 and M6";
constexpr std::string_view kStudyM6 = "M6 study (751K), probes on M6";
constexpr std::string_view kTables = "M6 study (751K): tables read from compiled programs of M6";
constexpr std::string_view kGuide = "ane-guide, parts 1 and 6: reductions on M1";
constexpr std::string_view kForge = "ANEForge numeric cliffs: M1, M2 Pro, M4, M5";
constexpr std::string_view kFromM6 = "taken from M6 (h18)";
constexpr std::string_view kFromM1 = "taken from M1 (h13)";
constexpr std::string_view kFromM4 = "taken from M4 (h16)";
constexpr std::string_view kReduceSum = "ANEForge, one project's claim; its test (<= 2048) does not exclude a wide sum";
constexpr std::string_view kIeee = "IEEE 754-2019, by definition";

std::vector<Ground> ieee_grounds() { return std::vector<Ground>(all_rules().size(), {defined, kIeee}); }

/// In the order of Rule.
std::vector<Ground> h13_grounds() {
  return {{contested, "ane-guide, parts 1 and 6: three reductions on M1; its radix-4 account rounds half to even"},
          {measured, kForge},
          {published, kGuide},
          {published, "ane-guide: M1 flushes subnormals"},
          {published, "ane-guide: half to even on M1"},
          {contested, kReduceSum},
          {measured, kForge},
          {unmeasured, "fp32, as the sum of the groups"},
          {assumed, kFromM6},
          {assumed, kFromM6},
          {assumed, "no chip's softmax was measured alone"},
          {assumed, kFromM6}};
}

std::vector<Ground> h14_grounds() {
  std::vector<Ground> grounds = h13_grounds();
  for (const Rule rule : {Rule::matmul_rounding, Rule::matmul_subnormals, Rule::elementwise})
    grounds[static_cast<std::size_t>(rule)] = {assumed, kFromM1};
  grounds[static_cast<std::size_t>(Rule::accumulator)] = {contested, "taken from M1 (h13), where it is contested"};
  return grounds;
}

std::vector<Ground> h16_grounds() {
  return {{measured, kStudy},
          {measured, kStudy},
          {measured, kStudy},
          {measured, kStudy},
          {published, "M6 study (751K): the same on M4; its raw values are M6's"},
          {contested, kReduceSum},
          {measured, "ANEForge: exact on M4 and M5"},
          {assumed, kFromM6},
          {assumed, kFromM6},
          {assumed, kFromM6},
          {assumed, "no chip's softmax was measured alone"},
          {published, kStudy}};
}

std::vector<Ground> h18_grounds() {
  std::vector<Ground> grounds = h16_grounds();
  const auto set = [&](Rule rule, Ground ground) { grounds[static_cast<std::size_t>(rule)] = ground; };
  set(Rule::elementwise, {measured, kStudyM6});
  set(Rule::slice, {unmeasured, "taken from M5"});
  set(Rule::bias, {measured, kStudyM6});
  set(Rule::sigmoid, {measured, kTables});
  set(Rule::tanh_exp, {published, kTables});
  set(Rule::specials, {measured, kStudyM6});
  return grounds;
}

std::vector<Ground> h17_grounds() {
  std::vector<Ground> grounds(all_rules().size(), {assumed, "M4 and M6 agree, so M5 should"});
  const auto set = [&](Rule rule, Ground ground) { grounds[static_cast<std::size_t>(rule)] = ground; };
  set(Rule::overflow, {measured, kForge});
  set(Rule::reduce_sum, {contested, kReduceSum});
  set(Rule::slice, {measured, "ANEForge: exact on M4 and M5"});
  return grounds;
}

std::vector<Ground> h15_grounds() {
  std::vector<Ground> grounds(all_rules().size(), {unmeasured, kFromM4});
  grounds[static_cast<std::size_t>(Rule::reduce_sum)] = {contested, kReduceSum};
  grounds[static_cast<std::size_t>(Rule::slice)] = {contested, "M1 and M2 lose what exceeds 4094, M4 and M5 do not"};
  return grounds;
}

Profile ieee() {
  return {.name = "ieee", .chip = "no chip: fp16 storage, fp32 accumulation", .grounds = ieee_grounds()};
}

Profile early(const char* name, std::string_view chip, std::vector<Ground> grounds) {
  return {.name = name,
          .chip = chip,
          .accumulator = Accumulator::four_lane,
          .flush_subnormals = true,
          .reduce_sum = Summation::fp16,
          .functions = Functions::tables,
          .specials = Specials::ordinary,
          .slice_gain = true,
          .grounds = std::move(grounds)};
}

Profile late(const char* name, std::string_view chip, std::vector<Ground> grounds) {
  return {.name = name,
          .chip = chip,
          .accumulator = Accumulator::fixed_point,
          .matmul_rounding = Rounding::half_away,
          .elementwise_rounding = Rounding::half_away,
          .reduce_sum = Summation::fp16,
          .functions = Functions::tables,
          .specials = Specials::ordinary,
          .grounds = std::move(grounds)};
}

std::string summation_text(Summation summation) {
  switch (summation) {
    case Summation::fp32:
      return "in fp32, rounded once";
    case Summation::fp16:
      return "left to right, every partial sum rounded to fp16";
    case Summation::wide:
      return "exactly, rounded once";
  }
  return {};
}

std::string rounding_text(Rounding rounding) {
  return rounding == Rounding::nearest_even ? "nearest, ties to even" : "nearest, ties away from zero";
}

}  // namespace

std::string_view evidence_name(Evidence evidence) {
  switch (evidence) {
    case defined:
      return "defined";
    case measured:
      return "measured";
    case published:
      return "published";
    case assumed:
      return "assumed";
    case contested:
      return "contested";
    case unmeasured:
      return "unmeasured";
  }
  return {};
}

const std::vector<Rule>& all_rules() {
  static const std::vector<Rule> rules = {
      Rule::accumulator, Rule::overflow,   Rule::matmul_rounding, Rule::matmul_subnormals,
      Rule::elementwise, Rule::reduce_sum, Rule::slice,           Rule::bias,
      Rule::sigmoid,     Rule::tanh_exp,   Rule::softmax,         Rule::specials};
  return rules;
}

std::string_view rule_name(Rule rule) {
  switch (rule) {
    case Rule::accumulator:
      return "accumulator";
    case Rule::overflow:
      return "overflow";
    case Rule::matmul_rounding:
      return "matmul_rounding";
    case Rule::matmul_subnormals:
      return "matmul_subnormals";
    case Rule::elementwise:
      return "elementwise";
    case Rule::reduce_sum:
      return "reduce_sum";
    case Rule::slice:
      return "slice";
    case Rule::bias:
      return "bias";
    case Rule::sigmoid:
      return "sigmoid";
    case Rule::tanh_exp:
      return "tanh_exp";
    case Rule::softmax:
      return "softmax";
    case Rule::specials:
      return "specials";
  }
  return {};
}

std::string rule_text(const Profile& p, Rule rule) {
  const bool fixed = p.accumulator == Accumulator::fixed_point, four = p.accumulator == Accumulator::four_lane;
  switch (rule) {
    case Rule::accumulator:
      return fixed  ? "fixed point, unit 2^-16: products rounded half away, dropped when their exponents sum to <= -17"
             : four ? "four consecutive products in a 12-bit truncating adder, their sums in fp32"
                    : "fp32";
    case Rule::overflow:
      return fixed  ? "partial sums of 32768 and more are infinite, and stay so"
             : four ? "sums of 32768 and more are infinite"
                    : "fp16 results of 65520 and more are infinite";
    case Rule::matmul_rounding:
      return rounding_text(p.matmul_rounding);
    case Rule::matmul_subnormals:
      return p.flush_subnormals ? "operands flushed to zero" : fixed ? "kept, with exponent -14" : "kept";
    case Rule::elementwise:
      return "fp16, " + rounding_text(p.elementwise_rounding);
    case Rule::reduce_sum:
      return summation_text(p.reduce_sum);
    case Rule::slice:
      return p.slice_gain ? "last axis, begin > 0: magnitudes above 4094 become infinite" : "exact";
    case Rule::bias:
      return fixed ? "initial accumulator, rounded half away to 2^-16" : "added in fp32";
    case Rule::sigmoid:
      return p.functions == Functions::tables ? "33 points on [-8, 8], linear between" : "exact, rounded";
    case Rule::tanh_exp:
      return p.functions == Functions::tables ? "33 points on [0, 4]; 2^(i/32)" : "exact, rounded";
    case Rule::softmax:
      return p.functions == Functions::tables
                 ? "difference, exp, sum as reduce_sum, inverse, product, each stored in fp16"
                 : "exact, rounded";
    case Rule::specials:
      return p.specials == Specials::ordinary ? "exponent 31 is an ordinary number; -0 becomes +0" : "IEEE 754";
  }
  return {};
}

const std::vector<Profile>& profiles() {
  static const std::vector<Profile> table = {ieee(),
                                             early("h13", "M1", h13_grounds()),
                                             early("h14", "M2", h14_grounds()),
                                             late("h15", "M3", h15_grounds()),
                                             late("h16", "M4", h16_grounds()),
                                             late("h17", "M5", h17_grounds()),
                                             late("h18", "M6", h18_grounds())};
  return table;
}

Profile find_profile(std::string_view text) {
  const std::string_view name = text.substr(0, text.find(':'));
  std::vector<std::string> known;
  const Profile* found = nullptr;
  for (const Profile& profile : profiles()) {
    known.push_back(profile.name);
    if (profile.name == name) found = &profile;
  }
  if (found == nullptr) unknown_name("profile", name, known);
  Profile profile = *found;
  if (name.size() == text.size()) return profile;
  const std::string_view setting = text.substr(name.size() + 1);
  const std::string_view key = setting.substr(0, setting.find('='));
  if (key.size() == setting.size() || key != "reduce_sum")
    throw input_error("profile '" + std::string(text) + "'", "'" + std::string(setting) + "' is no setting",
                      "write NAME or NAME:reduce_sum=fp16|fp32|wide");
  const std::string_view value = setting.substr(key.size() + 1);
  if (value == "fp16")
    profile.reduce_sum = Summation::fp16;
  else if (value == "fp32")
    profile.reduce_sum = Summation::fp32;
  else if (value == "wide")
    profile.reduce_sum = Summation::wide;
  else
    unknown_name("value of reduce_sum", value, {"fp16", "fp32", "wide"});
  profile.name = text;
  return profile;
}

}  // namespace aneval::emulator
