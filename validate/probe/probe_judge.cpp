// What the answers to a rule's questions say.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ane/emulator/emulator.h"
#include "ane/emulator/exact_functions.h"
#include "ane/emulator/function_table.h"
#include "ane/emulator/half_values.h"
#include "ane/emulator/profile_file.h"
#include "common/error.h"
#include "common/names.h"
#include "validate/probe/probe.h"

namespace aneval::validate {
namespace {

using ane::half_t;
using emulator::Rule;
using emulator::RuleValue;
using Bits = std::vector<half_t>;

constexpr std::size_t kReadingsShown = 12;  // of a rule; softmax has 64 rows

bool is_nan(half_t bits) { return (bits & 0x7C00) == 0x7C00 && (bits & 0x3FF) != 0; }
bool is_zero(half_t bits) { return (bits & 0x7FFF) == 0; }
bool is_finite(half_t bits) { return (bits & 0x7C00) != 0x7C00; }

/// Signs of zeros belong to one rule alone; which NaN it is, to none.
bool same(half_t a, half_t b, bool signs_of_zero) {
  return a == b || (is_nan(a) && is_nan(b)) || (!signs_of_zero && is_zero(a) && is_zero(b));
}

bool is_function(ProbeOp op) { return op == ProbeOp::sigmoid || op == ProbeOp::tanh || op == ProbeOp::exp; }

/// Of every input's bits, as a value of its rule has it.
Bits function_bits(ProbeOp op, std::string_view value) {
  const emulator::Function function = op == ProbeOp::sigmoid ? emulator::Function::sigmoid
                                      : op == ProbeOp::tanh  ? emulator::Function::tanh
                                                             : emulator::Function::exp;
  const bool tables = value == "tables";
  const auto& values = tables ? emulator::function_values(function) : emulator::exact_values(function);
  Bits bits(values.size());
  emulator::encode_halves(tables ? emulator::Specials::ordinary : emulator::Specials::ieee, values.data(), bits.data(),
                          static_cast<std::int64_t>(bits.size()));
  return bits;
}

/// Answers of every question under one value of the rule.
std::vector<Bits> predictions(const RuleProbe& probe, std::size_t value, const emulator::Profile& known) {
  const std::string_view name = emulator::rule_values(probe.rule)[value].name;
  if (probe.rule == Rule::softmax) {
    // Its difference and product round as elementwise operations do, and it adds as reduce_sum.
    const auto setting = [&](Rule rule) {
      return fmt::format("{}={}", emulator::rule_name(rule), emulator::rule_value(known, rule).name);
    };
    emulator::EmulatorOptions options;
    options.profile =
        name == "tables" ? "h18:" + setting(Rule::elementwise) + ";" + setting(Rule::reduce_sum) : std::string("ieee");
    return ask(*emulator::make_emulator(options), probe.questions).bits;
  }
  std::vector<Bits> all;
  for (const Question& question : probe.questions) {
    if (is_function(question.op)) {
      all.push_back(function_bits(question.op, name));
    } else {
      const float expected = question.expected.at(value);
      all.push_back({std::isnan(expected) ? half_t{0x7E00} : ane::to_half(expected)});
    }
  }
  return all;
}

/// Elements that differ, of those whose input is finite.
std::int64_t count_differences(const RuleProbe& probe, std::size_t question, const Bits& got, const Bits& expected) {
  const bool function = is_function(probe.questions[question].op);
  std::int64_t count = 0;
  for (std::size_t i = 0; i < got.size(); ++i)
    if (!function || is_finite(static_cast<half_t>(i)))
      count += same(got[i], expected[i], probe.rule == Rule::specials) ? 0 : 1;
  return count;
}

/// Largest |got − exact| over the finite inputs whose exact result is finite.
double largest_error(const Bits& got, const Bits& exact) {
  double largest = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (!is_finite(static_cast<half_t>(i)) || !is_finite(exact[i]) || !is_finite(got[i])) continue;
    largest = std::max(
        largest, std::abs(static_cast<double>(ane::to_float(got[i])) - static_cast<double>(ane::to_float(exact[i]))));
  }
  return largest;
}

struct Candidate {
  const RuleValue* value;
  std::vector<Bits> bits;
  bool fits = true;
};

std::string reading_text(const RuleProbe& probe, std::size_t q, const Bits& got,
                         const std::vector<Candidate>& candidates) {
  const Question& question = probe.questions[q];
  if (got.size() == 1) return question.text + " = " + half_text(got.front());
  std::string text = question.text + ":";
  for (const Candidate& candidate : candidates)
    text += fmt::format(" {} of {} differ from {},", count_differences(probe, q, got, candidate.bits[q]),
                        is_function(question.op) ? std::size_t{2} * 0x7C00 : got.size(), candidate.value->name);
  if (!is_function(question.op)) {
    text.pop_back();
    return text;
  }
  const double error = largest_error(got, function_bits(question.op, "exact"));
  return text + fmt::format(" largest |error| {:.4g}", error);
}

}  // namespace

std::string_view verdict_name(Verdict verdict) {
  constexpr std::string_view kNames[] = {"agrees", "differs", "undecided", "failed"};
  return kNames[static_cast<std::size_t>(verdict)];
}

std::string half_text(half_t bits) {
  if (is_nan(bits)) return "nan";
  return number_text(static_cast<double>(ane::to_float(bits)));
}

RuleFinding judge(const RuleProbe& probe, const Answers& answers, const emulator::Profile& builtin,
                  const emulator::Profile& known) {
  RuleFinding finding;
  finding.rule = probe.rule;
  finding.builtin = emulator::rule_value(builtin, probe.rule).name;
  std::vector<Candidate> candidates;
  const auto& values = emulator::rule_values(probe.rule);
  for (std::size_t v = 0; v < values.size(); ++v)
    if (values[v].name != "measured") candidates.push_back({&values[v], predictions(probe, v, known)});

  std::size_t answered = 0;
  for (std::size_t q = 0; q < probe.questions.size(); ++q) {
    const Bits& got = answers.bits.at(q);
    if (got.empty()) continue;
    ++answered;
    for (Candidate& candidate : candidates)
      candidate.fits = candidate.fits && count_differences(probe, q, got, candidate.bits[q]) == 0;
    if (finding.readings.size() < kReadingsShown) finding.readings.push_back(reading_text(probe, q, got, candidates));
  }
  finding.reason = join(answers.failures, "; ");
  if (answered == 0) return finding;

  std::vector<std::string> fitting;
  bool builtin_fits = false;
  for (const Candidate& candidate : candidates) {
    if (!candidate.fits) continue;
    fitting.emplace_back(candidate.value->name);
    builtin_fits = builtin_fits || candidate.value->name == finding.builtin;
  }
  if (fitting.size() == 1) finding.value = fitting.front();
  finding.verdict = !builtin_fits ? Verdict::differs : fitting.size() == 1 ? Verdict::agrees : Verdict::undecided;
  const std::string more = finding.reason.empty() ? "" : "; " + finding.reason;
  if (fitting.size() > 1) finding.reason = "what was answered fits " + join(fitting, " and ") + more;
  if (fitting.empty()) {
    finding.reason = "no known value gives these results" + more;
    for (std::size_t q = 0; q < probe.questions.size(); ++q)
      if (is_function(probe.questions[q].op) && !answers.bits[q].empty())
        finding.tables.emplace_back(probe.questions[q].text, emulator::hex_text(answers.bits[q]));
    if (probe.rule == Rule::sigmoid && emulator::growing_table(answers.bits.front()) != nullptr)
      finding.value = "measured";
  }
  return finding;
}

void learn(emulator::Profile& known, const RuleFinding& finding) {
  if (finding.value.empty() || !emulator::is_setting(finding.rule)) return;
  emulator::Profile changed = known;
  try {
    emulator::set_rule(changed, finding.rule, finding.value, "probe");
  } catch (const Error&) {
    return;  // no profile of the emulator has both: what rests on it will not be recognised
  }
  known = std::move(changed);
}

Fingerprint fingerprint(const Answers& overflow, const Answers& rounding) {
  const auto answer = [](Rule rule, std::string_view text, const Answers& answers) -> std::optional<half_t> {
    const auto& questions = rule_probe(rule).questions;
    for (std::size_t q = 0; q < questions.size() && q < answers.bits.size(); ++q)
      if (questions[q].text == text && !answers.bits[q].empty()) return answers.bits[q].front();
    return std::nullopt;
  };
  return {answer(Rule::overflow, kOverflowQuestion, overflow), answer(Rule::matmul_rounding, kTieQuestion, rounding)};
}

bool Fingerprint::engine() const {
  return two_halves_of_the_range == half_t{0x7C00} && (tie == ane::to_half(2048.0F) || tie == ane::to_half(2050.0F));
}

std::string fingerprint_text(const Fingerprint& print) {
  std::vector<std::string> readings;
  const auto add = [&](std::string_view question, const std::optional<half_t>& answer) {
    if (answer) readings.push_back(std::string(question) + " = " + half_text(*answer));
  };
  add(kOverflowQuestion, print.two_halves_of_the_range);
  add(kTieQuestion, print.tie);
  return join(readings, ", ");
}

}  // namespace aneval::validate
