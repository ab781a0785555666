// One program in the framework's hands: descriptor, model, and what is done with it.
#pragma once

#include <IOSurface/IOSurfaceRef.h>

#include <cstdint>
#include <optional>

#include "ane/apple/framework.h"
#include "ane/weight_blob.h"

namespace aneval::apple {

/// A request of the framework's, bound to surfaces.
struct BoundRequest {
  Ref<id> request;
  Ref<id> statistics;  // when hardware times are asked for and the framework has them
};

/// An _ANEInMemoryModel. All methods throw CallError with the selector and the framework's text.
class Model {
 public:
  Model(const Framework& framework, unsigned qos, std::string_view mil, const ane::WeightFiles& weights);
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  /// Of text and weights: equal programs have equal ones, and one folder.
  std::string identifier() const;
  /// Forgets what an earlier compile left in the system's cache, where the framework can.
  void purge();
  void compile();
  /// `hardware_time`: asks for the engine's own clock, where there is one.
  void load(bool hardware_time);
  BoundRequest bind(IOSurfaceRef input, IOSurfaceRef output) const;
  void evaluate(const BoundRequest& request) const;
  /// When it is loaded; the end of the object does it otherwise. What fails is said on standard error.
  void unload() noexcept;

  /// Nanoseconds that the engine says the last evaluation took; nothing where it does not tell.
  static std::optional<std::int64_t> hardware_time(const BoundRequest& request);

 private:
  const Framework& framework_;
  unsigned qos_;
  Ref<CFDictionaryRef> options_;  // empty, never nil
  Ref<id> model_;
  bool loaded_ = false, statistics_ = false;
};

}  // namespace aneval::apple
