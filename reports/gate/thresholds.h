// The figures of the regression gate in one place. Simulations (simulation_test.cpp) show what they achieve together;
// docs/gate.md explains them.
#pragma once

#include <cstdint>

namespace aneval::gate {

struct Thresholds {
  double least_shift = 0.01;     // delta0: tests ask whether B is slower than A by more than this
  double alpha = 0.01;           // of the whole second stage (Holm)
  double fdr = 0.01;             // of a run with one stage (Benjamini-Hochberg)
  double suspect_p = 0.05;       // first stage: p without a shift, at most, and
  double suspect_share = 0.5;    // this part of the tolerance, at least: then it is measured again
  double suite_alpha = 0.005;    // the median metric of a process: exact test, and
  double suite_shift = 0.02;     // |shift| at least
  double confidence = 0.95;      // of intervals of effects
  double contaminated = 0.02;    // more than this share of negative controls significant: refused
  std::int64_t repetitions = 5;  // of a benchmark in a process
  std::int64_t blocks = 6, confirm_blocks = 15;
};

}  // namespace aneval::gate
