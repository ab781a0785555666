#include "ane/emulator/softmax_rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ane/emulator/softmax_rows.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "ane/emulator/half_rounding-inl.h"
#include "hwy/contrib/math/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace aneval::emulator::HWY_NAMESPACE {

double Exponentials(const float* HWY_RESTRICT x, std::int64_t n, float largest, double* HWY_RESTRICT to) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> floats;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto top = hn::Set(d, static_cast<double>(largest));
  const auto one = [&](const float* from) HWY_ATTR {
    const auto difference = hn::Sub(hn::PromoteTo(d, hn::LoadU(floats, from)), top);
    // Highway's exp of NaN is 0.
    return hn::IfThenElse(hn::IsNaN(difference), difference, hn::Exp(d, difference));
  };
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(one(x + i), d, to + i);
  if (i < n) {
    HWY_ALIGN float rest[hn::MaxLanes(d)] = {};
    HWY_ALIGN double last[hn::MaxLanes(d)];
    std::memcpy(rest, x + i, sizeof(float) * static_cast<std::size_t>(n - i));
    hn::Store(one(rest), d, last);
    std::memcpy(to + i, last, sizeof(double) * static_cast<std::size_t>(n - i));
  }
  constexpr std::int64_t kParts = 8;
  double parts[kParts] = {};
  for (i = 0; i + kParts <= n; i += kParts)
    for (std::int64_t part = 0; part < kParts; ++part) parts[part] += to[i + part];
  for (; i < n; ++i) parts[i % kParts] += to[i];
  double sum = 0;
  for (const double part : parts) sum += part;
  return sum;
}

/// A double on the way to fp16 (narrow() in half_values.h): what fp32 does not have is cut off, and marked in the last
/// bit that is left.
template <class D, class V>
HWY_INLINE V RoundedToOdd(D d, V value) {
  const hn::RebindToUnsigned<D> bits;
  const auto beyond = hn::Set(bits, (std::uint64_t{1} << 29) - 1);
  const auto word = hn::BitCast(bits, value);
  const auto sticky = hn::Or(word, hn::Add(hn::And(word, beyond), beyond));  // a carry into bit 29 if any bit is set
  return hn::BitCast(d, hn::AndNot(beyond, sticky));
}

void Quotients(HalfFormat format, mil::DType dtype, const double* HWY_RESTRICT numerators, double sum,
               float* HWY_RESTRICT out, std::int64_t n) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> floats;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto divisor = hn::Set(d, sum);
  const bool half = dtype == mil::DType::fp16;
  WithRounding(format, dtype, [&](const auto& round) HWY_ATTR {
    const auto one = [&](const double* from) HWY_ATTR {
      const auto quotient = hn::Div(hn::LoadU(d, from), divisor);
      return round(floats, hn::DemoteTo(floats, half ? RoundedToOdd(d, quotient) : quotient));
    };
    std::int64_t i = 0;
    for (; i + lanes <= n; i += lanes) hn::StoreU(one(numerators + i), floats, out + i);
    if (i == n) return;
    HWY_ALIGN double rest[hn::MaxLanes(d)] = {};
    HWY_ALIGN float last[hn::MaxLanes(floats)];
    std::memcpy(rest, numerators + i, sizeof(double) * static_cast<std::size_t>(n - i));
    hn::Store(one(rest), floats, last);
    std::memcpy(out + i, last, sizeof(float) * static_cast<std::size_t>(n - i));
  });
}

}  // namespace aneval::emulator::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneval::emulator {

HWY_EXPORT(Exponentials);
HWY_EXPORT(Quotients);

double exponentials(const float* x, std::int64_t n, float largest, double* to) {
  return HWY_DYNAMIC_DISPATCH(Exponentials)(x, n, largest, to);
}

void quotients(HalfFormat format, mil::DType dtype, const double* numerators, double sum, float* out, std::int64_t n) {
  HWY_DYNAMIC_DISPATCH(Quotients)(format, dtype, numerators, sum, out, n);
}

}  // namespace aneval::emulator
#endif
