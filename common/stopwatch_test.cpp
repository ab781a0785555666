#include "common/stopwatch.h"

#include <gtest/gtest.h>

#include <thread>

namespace aneval {
namespace {

TEST(Stopwatch, RunsOnBetweenReadingsUntilItIsRestarted) {
  using namespace std::chrono_literals;
  Stopwatch watch;
  std::this_thread::sleep_for(20ms);
  const std::int64_t first = watch.ns();
  EXPECT_GE(first, 20'000'000);
  std::this_thread::sleep_for(5ms);
  EXPECT_GE(watch.ns(), first + 5'000'000);
  const Stopwatch outer;
  watch.restart();
  const std::int64_t since_restart = watch.ns();
  EXPECT_LE(since_restart, outer.ns()) << "the time before the restart still counts";
}

}  // namespace
}  // namespace aneval
