// The numerics probes: a device is asked for results that tell the values of a profile's rules apart (2048 + 1 in a
// matmul is 2048 or 2050), through small programs over the ane::Device interface, and its answers say which profile it
// follows. docs/probe.md tells what is asked and why.
//
//   rule_probes()   the questions, one entry per rule, with the answer of every value       probe_rules.cpp
//   ask()           questions -> programs -> bits                                           probe_device.cpp
//   judge()         bits -> the value of the rule, beside the built-in profile's            probe_judge.cpp
//
// To add a question: a line in probe_rules.cpp. To add a value of a rule: its row in ane/emulator/rules.cpp, and its
// answers in every question of that rule; probe_test.cpp demands that the questions tell it from the others.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ane/device.h"
#include "ane/emulator/profile.h"
#include "ane/half.h"

namespace aneval::validate {

/// The operation that a question is put to.
enum class ProbeOp { matmul, conv, add, sub, mul, reduce_sum, slice, sigmoid, tanh, exp, softmax };
std::string_view probe_op_name(ProbeOp op);

/// One result that is asked for: of a dot product x·w (conv: + bias), of x[0] ∘ w[0], of the sum of x, of x[0] behind a
/// slice; sigmoid, tanh, exp: of every finite fp16 number, in the order of their bits; softmax: of the row x.
struct Question {
  ProbeOp op = ProbeOp::matmul;
  std::string text = {};  // "2048 + 1"
  std::vector<float> x = {}, w = {};
  float bias = 0;
  std::vector<float> expected = {};  // by value of the rule, in the order of rule_values(); empty for functions
};

struct RuleProbe {
  emulator::Rule rule;
  std::vector<Question> questions;
};

/// In the order of all_rules().
const std::vector<RuleProbe>& rule_probes();
const RuleProbe& rule_probe(emulator::Rule rule);

/// The bits of every question's result: one number, 256 of a softmax, 65536 of a function (by input bits; those of
/// inputs that are not finite mean nothing). Empty where the operation failed.
struct Answers {
  std::vector<std::vector<ane::half_t>> bits;
  Status status = Status::ok;         // of the first failure
  std::vector<std::string> failures;  // "conv: …", one per operation that failed
};

/// One program per operation, evaluated twice: both times the same bits, and every element written. Devices that refuse
/// an operation fail its questions only. Surfaces keep the engines' known limits: widths are multiples of 32, inputs
/// have at least 64 KiB, elementwise operations at most 16384 elements.
Answers ask(ane::Device& device, const std::vector<Question>& questions);

enum class Verdict { agrees, differs, undecided, failed };
std::string_view verdict_name(Verdict verdict);

/// What became of a rule.
struct RuleFinding {
  emulator::Rule rule;
  Verdict verdict = Verdict::failed;
  std::string value;                  // "half_away"; empty: no known value, or not one alone
  std::string builtin;                // the built-in profile's value
  std::string reason;                 // why there is no value; of a failure what failed
  std::vector<std::string> readings;  // "2048 + 1 = 2050"; of functions how far they are from the candidates
  /// Of functions that no candidate gives: name, and the bits of all results, four digits each.
  std::vector<std::pair<std::string, std::string>> tables;
};

/// Which values of the rule give these answers: exactly one is the device's; none is a rule nobody knows; several
/// cannot be told apart by what was answered. A sigmoid that nobody knows is `measured` when it grows with its
/// argument: its table is then what the profile computes with. `known` holds what is already known of the device:
/// softmax contains a sum and roundings.
RuleFinding judge(const RuleProbe& probe, const Answers& answers, const emulator::Profile& builtin,
                  const emulator::Profile& known);

/// Gives `known` the value that was found, when it is a setting that the profile can take.
void learn(emulator::Profile& known, const RuleFinding& finding);

/// The questions, of the rules overflow and matmul_rounding, whose answers prove that an engine computed.
inline constexpr std::string_view kOverflowQuestion = "16384 + 16384", kTieQuestion = "2048 + 1";

/// The answers: no CPU adds 16384 and 16384 in a matmul to infinity. Next to 2048, engines give 2050 (h15 and later) or
/// 2048, as a CPU does; what is infinite there as well computes nothing.
struct Fingerprint {
  std::optional<ane::half_t> two_halves_of_the_range;
  std::optional<ane::half_t> tie;
  bool engine() const;
};
/// From the answers to the probes of `overflow` and `matmul_rounding`.
Fingerprint fingerprint(const Answers& overflow, const Answers& rounding);
/// "16384 + 16384 = inf, 2048 + 1 = 2050": of the answers that there are.
std::string fingerprint_text(const Fingerprint& print);

/// "2050", "inf", "nan".
std::string half_text(ane::half_t bits);

}  // namespace aneval::validate
