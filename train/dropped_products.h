// What a chip's accumulators lose while a model trains: the products of a kernel's matmuls that M4's accumulator drops,
// measured on what lies on the device's surfaces during a step.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "ane/emulator/plan.h"
#include "ane/emulator/profile.h"
#include "train/layer_backend.h"

namespace aneval::train {

class DroppedProducts {
 public:
  /// Computes the values between a program's operations as the profile does.
  DroppedProducts(emulator::Profile profile, ThreadPool* pool) : profile_(std::move(profile)), pool_(pool) {}

  /// Measures while it is on: each evaluation then costs as much as several.
  void measure(bool on);
  /// For DeviceBackendOptions::evaluated. Refers to this.
  EvaluationObserver observer();

  /// Per kernel, all layers together: the share of pairs of nonzero operands whose exponents sum to ≤ −17. Since
  /// measure(true) was called.
  std::map<std::string, double> fractions() const;

 private:
  struct Count {
    double pairs = 0, dropped = 0;
  };

  emulator::Profile profile_;
  ThreadPool* pool_;
  bool on_ = false;
  std::map<std::string, std::shared_ptr<const emulator::Plan>> plans_;  // by program
  std::map<std::string, Count> counts_;
};

}  // namespace aneval::train
