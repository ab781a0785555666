// For tests of code that Highway dispatches: the same body on every SIMD target of the machine.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "hwy/highway.h"

namespace aneval {

/// Runs the body once per target that this program contains and this machine supports. A build for one machine
/// (ANEVAL_NATIVE) contains its best target only; the portable build contains them all.
inline void on_every_target(const std::function<void()>& body) {
  const std::vector<std::int64_t> targets = hwy::SupportedAndGeneratedTargets();
  ASSERT_FALSE(targets.empty());
  for (const std::int64_t target : targets) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    SCOPED_TRACE(hwy::TargetName(target));
    body();
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

// Sanitizers and debug builds look at memory, not at bits: exhaustive tests take a sample there.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define ANEVAL_SLOW_BUILD 1
#endif
#endif
#if !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ANEVAL_SLOW_BUILD 1
#endif
#ifdef ANEVAL_SLOW_BUILD
inline constexpr bool kSlowBuild = true;
#else
inline constexpr bool kSlowBuild = false;
#endif

}  // namespace aneval
