// How every metric of a result file is judged: the table of the gate. A metric that is not in it is shown in reports
// and judged nowhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "reports/gate/outcome.h"

namespace aneval::gate {

enum class Better { lower, higher, same };

struct Rule {
  std::string_view metric;
  Kind kind;
  Better better = Better::lower;
  /// Tolerances: worse than the contract, or than base·(1 + relative) + absolute, is a failure. In dB: base - absolute.
  double relative = 0, absolute = 0;
  /// Scale of the absolute part: the metric of the same thing that it is a share of; empty: 1.
  std::string_view scale = {};
  std::optional<double> contract = {};
};

const std::vector<Rule>& rules();
const Rule* find_rule(std::string_view metric);

/// The phase of benchmarks that are the same machine code in every build: what they measure is the machine's moment.
inline constexpr std::string_view kControlPhase = "control";

/// The relative slowdown that matters, by what is timed and how long it takes.
double timing_tolerance(std::string_view phase, double ns);

}  // namespace aneval::gate
