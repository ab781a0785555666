// Host surfaces: zeroed, aligned, locked correctly; poison counts what was not written.
#include "ane/surface.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "common/error.h"

namespace aneval::ane {
namespace {

TEST(Surface, IsZeroedAndAligned) {
  for (const std::size_t bytes : {2u, 64u, 1000u, 16384u, 100000u}) {
    const auto surface = make_host_surface(bytes);
    EXPECT_EQ(surface->bytes(), bytes);
    const ReadLock lock(*surface);
    EXPECT_EQ(lock.bytes().size(), bytes);
    EXPECT_EQ(lock.halves().size(), bytes / 2);
    EXPECT_TRUE(std::ranges::all_of(lock.bytes(), [](std::byte b) { return b == std::byte{0}; }));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(lock.bytes().data()) % (bytes < 16384 ? 64 : 16384), 0u);
  }
}

TEST(Surface, ImpossibleSizes) {
  EXPECT_THROW(make_host_surface(0), std::logic_error);
  try {
    make_host_surface(SIZE_MAX - 5);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::refused);
  }
}

TEST(Surface, WhatIsWrittenIsRead) {
  const auto surface = make_host_surface(8);
  {
    WriteLock(*surface).halves()[3] = 0x3C00;
  }
  const ReadLock lock(*surface);
  EXPECT_EQ(lock.halves()[3], 0x3C00);
  EXPECT_EQ(lock.halves()[2], 0);
}

TEST(Surface, SeveralReadersOneWriter) {
  const auto surface = make_host_surface(8);
  {
    const ReadLock first(*surface);
    EXPECT_THROW(WriteLock{*surface}, std::logic_error);
    {
      const ReadLock second(*surface);
    }
    EXPECT_THROW(WriteLock{*surface}, std::logic_error);
  }
  {
    const WriteLock writer(*surface);
    EXPECT_THROW(WriteLock{*surface}, std::logic_error);
    EXPECT_THROW(ReadLock{*surface}, std::logic_error);
  }
  // The refused locks left nothing behind.
  {
    const WriteLock writer(*surface);
  }
  const ReadLock reader(*surface);
}

TEST(Surface, PoisonIsNanAndCounted) {
  for (const half_t pattern : kPoison) EXPECT_TRUE(std::isnan(to_float(pattern)));
  EXPECT_NE(kPoison[0], kPoison[1]);
  // More elements than a 16-bit counter can hold, and not a multiple of any vector.
  const std::int64_t elements = 3 * 65536 + 77;
  const auto surface = make_host_surface(static_cast<std::size_t>(2 * elements));
  EXPECT_EQ(count_poison(*surface, kPoison[0]), 0);
  poison(*surface, kPoison[0]);
  EXPECT_EQ(count_poison(*surface, kPoison[0]), elements);
  EXPECT_EQ(count_poison(*surface, kPoison[1]), 0);
  {
    const WriteLock lock(*surface);
    lock.halves()[0] = 0;
    lock.halves()[65535] = kPoison[1];
    lock.halves()[static_cast<std::size_t>(elements - 1)] = 1;
  }
  EXPECT_EQ(count_poison(*surface, kPoison[0]), elements - 3);
  EXPECT_EQ(count_poison(*surface, kPoison[1]), 1);
}

TEST(Surface, HashTellsContentsApart) {
  const auto a = make_host_surface(64), b = make_host_surface(64), longer = make_host_surface(128);
  EXPECT_EQ(surface_hash(*a), surface_hash(*b));
  EXPECT_NE(surface_hash(*a), surface_hash(*longer));
  WriteLock(*b).halves()[31] = 1;
  EXPECT_NE(surface_hash(*a), surface_hash(*b));
}

}  // namespace
}  // namespace aneval::ane
