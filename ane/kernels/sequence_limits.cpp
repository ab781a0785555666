#include "ane/kernels/sequence_limits.h"

#include <algorithm>

#include "common/error.h"

namespace aneval::ane {

namespace {

/// Axes end at 65536 on every family, and every kernel has one of S.
constexpr std::int64_t kSearchEnd = (std::int64_t{1} << 16) + 1;
constexpr std::int64_t kMultiple = 32;

/// A kernel's program at S, judged by one family.
class Judge {
 public:
  Judge(const KernelSpec& spec, const ModelShape& shape, const Variant& variant, const mil::Family& family)
      : spec_(spec), config_{shape, variant, 0, 0, true}, family_(family) {}

  /// The first error at S; nothing when there is none. What is too large to be described at all (2^40 bytes of a
  /// surface) is an error as well.
  std::optional<mil::Finding> error(std::int64_t seq, mil::RuleScope scope) {
    config_.shape.seq = seq;
    mil::Program program;
    try {
      check_shape(config_.shape, "model");
      program = spec_.program(config_, spec_.layout(config_)).graph;
    } catch (const Error& failure) {
      if (seq == 1) throw;
      return mil::Finding{mil::Severity::error, {}, "impossible", failure.subject() + ": " + failure.reason()};
    }
    for (const mil::Finding& finding : mil::check_family(in_dialect_of(family_, std::move(program)), family_, scope))
      if (finding.severity == mil::Severity::error) return finding;
    return std::nullopt;
  }

 private:
  const KernelSpec& spec_;
  KernelConfig config_;
  const mil::Family& family_;
};

}  // namespace

mil::Program in_dialect_of(const mil::Family& family, mil::Program program) {
  program.version = family.legacy_dialect ? "1.0" : "1.3";
  for (mil::Function& function : program.functions) function.opset = family.legacy_dialect ? "ios16" : "ios18";
  return program;
}

std::vector<SequenceLimit> sequence_limits(const KernelRegistry& registry, const ModelShape& shape,
                                           const Variant& variant, const mil::Family& family) {
  std::vector<SequenceLimit> limits;
  for (const KernelSpec& spec : registry.of_variant(variant)) {
    if (spec.name == "dynMatmul") continue;  // has channels of its own, not a model's
    Judge judge(spec, shape, variant, family);
    SequenceLimit limit;
    limit.kernel = spec.name;
    // Invariant: `fits` is within the caps (0 stands for nothing), `stops` is not.
    std::int64_t fits = 0, stops = kSearchEnd;
    std::optional<mil::Finding> stop = judge.error(stops, mil::RuleScope::caps);
    // A kernel from outside the tree may have no axis of S.
    if (!stop)
      fits = stops - 1, stop = mil::Finding{mil::Severity::error, {}, "none", "no axis grows with the sequence"};
    while (stops - fits > 1) {
      const std::int64_t middle = fits + (stops - fits) / 2;
      if (auto found = judge.error(middle, mil::RuleScope::caps))
        stops = middle, stop = std::move(found);
      else
        fits = middle;
    }
    limit.largest = fits;
    limit.rule = stop->rule;
    limit.why = stop->text;
    const std::int64_t rounded = fits / kMultiple * kMultiple;
    if (rounded > 0 && !judge.error(rounded, mil::RuleScope::all)) limit.usable = rounded;
    limits.push_back(std::move(limit));
  }
  return limits;
}

const SequenceLimit* smallest_limit(const std::vector<SequenceLimit>& limits) {
  const auto least = std::min_element(limits.begin(), limits.end(), [](const SequenceLimit& a, const SequenceLimit& b) {
    return a.largest < b.largest;
  });
  return least == limits.end() ? nullptr : &*least;
}

}  // namespace aneval::ane
