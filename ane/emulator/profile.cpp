#include "ane/emulator/profile.h"

#include <algorithm>

#include "ane/emulator/profile_file.h"
#include "common/error.h"
#include "common/names.h"

namespace aneval::emulator {
namespace {

using enum Evidence;

// Sources, as they are named in docs/numerics.md.
constexpr const char* kStudy = "M6 study (751K), notes/numerics.md: probes on M4 and M6";
constexpr const char* kStudyM6 = "M6 study (751K), probes on M6";
constexpr const char* kTables = "M6 study (751K): tables read from compiled programs of M6";
constexpr const char* kGuide = "ane-guide, parts 1 and 6: reductions on M1";
constexpr const char* kForge = "ANEForge numeric cliffs: M1, M2 Pro, M4, M5";
constexpr const char* kFromM6 = "taken from M6 (h18)";
constexpr const char* kFromM1 = "taken from M1 (h13)";
constexpr const char* kFromM4 = "taken from M4 (h16)";
constexpr const char* kReduceSum = "ANEForge, one project's claim; its test (<= 2048) does not exclude a wide sum";
constexpr const char* kIeee = "IEEE 754-2019, by definition";

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
  const auto set = [&](Rule rule, Ground ground) { grounds[static_cast<std::size_t>(rule)] = std::move(ground); };
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
  const auto set = [&](Rule rule, Ground ground) { grounds[static_cast<std::size_t>(rule)] = std::move(ground); };
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
  return {.name = "ieee",
          .chip = "no chip: fp16 storage, fp32 accumulation",
          .grounds = ieee_grounds(),
          .eight_bits = Ground{defined, "exact integers, ties of quantize to even as in coremltools"}};
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

Profile late(const char* name, std::string_view chip, std::vector<Ground> grounds,
             std::optional<Ground> eight_bits = {}) {
  return {.name = name,
          .chip = chip,
          .accumulator = Accumulator::fixed_point,
          .matmul_rounding = Rounding::half_away,
          .elementwise_rounding = Rounding::half_away,
          .reduce_sum = Summation::fp16,
          .functions = Functions::tables,
          .specials = Specials::ordinary,
          .grounds = std::move(grounds),
          .eight_bits = std::move(eight_bits)};
}

// That an engine multiplies 8-bit numbers apart shows in its speed: M1, M2 and M3 were never reported to.
constexpr const char* kSums = "M6 study (751K), H50: sums to 2^30 exact, 2^31 infinite; ties of quantize assumed";
constexpr const char* kSumsOnM4 = "taken from M6; M4 takes 8-bit products 1.9 times as fast as fp16 (maderix/ANE)";
constexpr const char* kSumsOnM5 = "taken from M6; M5 Max takes 8-bit products 1.8 times as fast (maderix/ANE#50)";

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

std::string eight_bits_text(const Profile& profile) {
  if (!profile.eight_bits) return "no rule: quantize and products of 8-bit numbers are refused";
  return std::string(evidence_name(profile.eight_bits->evidence)) +
         ": exact sums of 32 bits, from 2^31 on infinite; quantize rounds as elementwise operations and clips [" +
         profile.eight_bits->source + "]";
}

const std::vector<Profile>& profiles() {
  static const std::vector<Profile> table = {ieee(),
                                             early("h13", "M1", h13_grounds()),
                                             early("h14", "M2", h14_grounds()),
                                             late("h15", "M3", h15_grounds()),
                                             late("h16", "M4", h16_grounds(), Ground{assumed, kSumsOnM4}),
                                             late("h17", "M5", h17_grounds(), Ground{assumed, kSumsOnM5}),
                                             late("h18", "M6", h18_grounds(), Ground{measured, kSums})};
  return table;
}

const Profile* builtin_profile(std::string_view name) {
  const auto found = std::ranges::find(profiles(), name, &Profile::name);
  return found == profiles().end() ? nullptr : &*found;
}

Profile find_profile(std::string_view text) {
  if (is_profile_file(text)) return read_profile_file(std::string(text));
  const std::string_view name = text.substr(0, text.find(':'));
  const Profile* found = builtin_profile(name);
  if (found == nullptr) {
    std::vector<std::string> known;
    for (const Profile& profile : profiles()) known.push_back(profile.name);
    unknown_name("profile", name, known);
  }
  Profile profile = *found;
  if (name.size() == text.size()) return profile;
  const std::string what = "profile '" + std::string(text) + "'";
  const std::string_view settings = text.substr(name.size() + 1);
  if (settings.empty()) throw input_error(what, "names no setting", "write NAME or NAME:reduce_sum=fp16|fp32|wide");
  for (const auto& [key, value] : parse_pairs(settings, what)) {
    const auto& rules = all_rules();
    const auto rule = std::find_if(rules.begin(), rules.end(), [&](Rule r) { return rule_name(r) == key; });
    if (rule == rules.end())
      throw input_error(what, "'" + key + "' is no setting",
                        "write NAME or NAME:reduce_sum=fp16|fp32|wide; accumulator, elementwise and slice are others");
    set_rule(profile, *rule, value, what);
  }
  profile.name = text;
  return profile;
}

}  // namespace aneval::emulator
