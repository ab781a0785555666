#include "bench/host_peak.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/host_peak.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace aneval::bench::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

double Chains(std::int64_t rounds, float* result) {
  const hn::ScalableTag<float> d;
  // x86 has two units of latency 4 or 5, which 10 chains keep busy, and 16 registers before AVX-512. Apple's four units
  // of latency 4 need 16 chains, and 64-bit Arm has 32 registers.
#if HWY_ARCH_X86
  constexpr int kChains = 12;
#else
  constexpr int kChains = 16;
#endif
  // Values converge to 1: no denormals, no infinities.
  const auto factor = hn::Set(d, 0.5F), term = hn::Set(d, 0.5F);
  // Every read of it may give another number, so equal chains are not computed once for all of them.
  volatile float start = 0.1F;
  auto a0 = hn::Set(d, start), a1 = hn::Set(d, start), a2 = hn::Set(d, start), a3 = hn::Set(d, start),
       a4 = hn::Set(d, start), a5 = hn::Set(d, start), a6 = hn::Set(d, start), a7 = hn::Set(d, start),
       a8 = hn::Set(d, start), a9 = hn::Set(d, start), a10 = hn::Set(d, start), a11 = hn::Set(d, start);
#if !HWY_ARCH_X86
  auto a12 = hn::Set(d, start), a13 = hn::Set(d, start), a14 = hn::Set(d, start), a15 = hn::Set(d, start);
#endif
  for (std::int64_t i = 0; i < rounds; ++i) {
    a0 = hn::MulAdd(a0, factor, term);
    a1 = hn::MulAdd(a1, factor, term);
    a2 = hn::MulAdd(a2, factor, term);
    a3 = hn::MulAdd(a3, factor, term);
    a4 = hn::MulAdd(a4, factor, term);
    a5 = hn::MulAdd(a5, factor, term);
    a6 = hn::MulAdd(a6, factor, term);
    a7 = hn::MulAdd(a7, factor, term);
    a8 = hn::MulAdd(a8, factor, term);
    a9 = hn::MulAdd(a9, factor, term);
    a10 = hn::MulAdd(a10, factor, term);
    a11 = hn::MulAdd(a11, factor, term);
#if !HWY_ARCH_X86
    a12 = hn::MulAdd(a12, factor, term);
    a13 = hn::MulAdd(a13, factor, term);
    a14 = hn::MulAdd(a14, factor, term);
    a15 = hn::MulAdd(a15, factor, term);
#endif
  }
  auto sum = hn::Add(hn::Add(hn::Add(a0, a1), hn::Add(a2, a3)), hn::Add(hn::Add(a4, a5), hn::Add(a6, a7)));
  sum = hn::Add(sum, hn::Add(hn::Add(a8, a9), hn::Add(a10, a11)));
#if !HWY_ARCH_X86
  sum = hn::Add(sum, hn::Add(hn::Add(a12, a13), hn::Add(a14, a15)));
#endif
  // A write that must happen, so that the loop is not removed: with a single target the dispatch is a call that
  // inlines.
  *static_cast<volatile float*>(result) = hn::GetLane(sum);
  return 2.0 * kChains * static_cast<double>(hn::Lanes(d)) * static_cast<double>(rounds);
}

}  // namespace aneval::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneval::bench {

HWY_EXPORT(Chains);

double multiply_add_chains(std::int64_t rounds) {
  float result;
  return HWY_DYNAMIC_DISPATCH(Chains)(rounds, &result);
}

}  // namespace aneval::bench
#endif
