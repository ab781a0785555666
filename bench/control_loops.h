// Loops that are the same machine code in every build of this project: when one of them takes longer, the machine is
// slower, not the build. They include and call nothing, and their object is compiled with flags of its own
// (bench/CMakeLists.txt), so that it is byte for byte the same in two builds by one compiler. Do not edit them: another
// loop is another benchmark, with a version of its own (control_suite.cpp).
#pragma once

namespace aneval::bench::control {

using u64 = unsigned long long;

/// Dependent multiplications, shifts and exclusive ors.
u64 integer_chain(u64 x, u64 rounds);
/// Dependent multiplications and additions.
double fp64_chain(double x, u64 rounds);
/// 64 independent sums of products, more than fit into a pipeline; `sums` has 64 elements.
void fp32_throughput(float* sums, const float* factors, u64 rounds);
/// to = from + constant over `count` elements, `rounds` times.
void stream(u64* to, const u64* from, u64 count, u64 rounds);
/// The sum of `count` elements.
u64 sum(const u64* from, u64 count);
/// Where `steps` steps lead from `at`: place i holds the number of the next place, at i * 8.
u64 chase(const u64* next, u64 at, u64 steps);
/// Half of the branches go one way, by the bits of a generator.
u64 branches(u64 seed, u64 rounds);

}  // namespace aneval::bench::control
