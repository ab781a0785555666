#include "bench/control_loops.h"

namespace aneval::bench::control {

u64 integer_chain(u64 x, u64 rounds) {
  for (u64 i = 0; i < rounds; ++i) {
    x ^= x >> 31;
    x *= 0x9E3779B97F4A7C15ULL;
  }
  return x;
}

double fp64_chain(double x, u64 rounds) {
  for (u64 i = 0; i < rounds; ++i) x = x * 0.75 + 0.5;
  return x;
}

void fp32_throughput(float* sums, const float* factors, u64 rounds) {
  float local[64];
  for (int j = 0; j < 64; ++j) local[j] = sums[j];
  for (u64 i = 0; i < rounds; ++i)
    for (int j = 0; j < 64; ++j) local[j] = local[j] * factors[j] + 1.0F;
  for (int j = 0; j < 64; ++j) sums[j] = local[j];
}

void stream(u64* to, const u64* from, u64 count, u64 rounds) {
  for (u64 round = 0; round < rounds; ++round)
    for (u64 i = 0; i < count; ++i) to[i] = from[i] + round;
}

u64 sum(const u64* from, u64 count) {
  u64 total = 0;
  for (u64 i = 0; i < count; ++i) total += from[i];
  return total;
}

u64 chase(const u64* next, u64 at, u64 steps) {
  for (u64 i = 0; i < steps; ++i) at = next[at * 8];
  return at;
}

u64 branches(u64 seed, u64 rounds) {
  u64 x = seed, ones = 0, zeros = 0;
  for (u64 i = 0; i < rounds; ++i) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    // The empty assembly keeps the compiler from turning the branch into a selection.
    if ((x & 1) != 0) {
      ++ones;
      asm volatile("" : "+r"(ones));
    } else {
      zeros += 3;
      asm volatile("" : "+r"(zeros));
    }
  }
  return ones + (zeros << 32);
}

}  // namespace aneval::bench::control
