// From the processes of two builds to findings: which benchmarks are suspected after the first stage, and what every
// one of them did after the second.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "reports/gate/ab_samples.h"
#include "reports/gate/outcome.h"
#include "reports/gate/paired.h"

namespace aneval::gate {

/// The processes of one stage.
struct Stage {
  std::vector<Measured> a, b;
};

class TimingComparison {
 public:
  /// `a` and `b`: the names that each build has, without controls.
  TimingComparison(std::set<std::string> a, std::set<std::string> b, const Thresholds& thresholds)
      : names_a_(std::move(a)), names_b_(std::move(b)), thresholds_(thresholds) {}

  void first(Stage stage);
  /// Names to be measured again.
  std::vector<std::string> suspects() const;
  void second(Stage stage);

  struct Result {
    std::vector<Finding> findings;  // by benchmark, and one of the suite when suspected
    std::vector<std::pair<std::string, std::string>> facts;
    std::vector<std::string> warnings, refusals;
  };
  /// `negative_controls`: both builds are the same file, so that every timing is a negative control. They gate nothing,
  /// and too many significant ones refuse the whole run.
  Result result(bool negative_controls);

 private:
  bool comparable(const std::string& name) const;
  Processes values(const Stage& stage) const;
  Finding plain(const std::string& name) const;
  Finding incomplete(const std::string& name) const;
  Finding timing(std::size_t metric, double detectable) const;
  Finding suite() const;

  std::set<std::string> names_a_, names_b_;
  Thresholds thresholds_;
  RankSum ranks_;
  Stage first_stage_, second_stage_;
  std::vector<std::string> names_;  // metrics by their place: subjects, then controls
  Metrics metrics_;
  FirstStage first_;
  Confirmed second_;
};

}  // namespace aneval::gate
