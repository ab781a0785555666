// Rows of fp16, through Highway with run-time dispatch.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ane/half_simd.cpp"
#include "hwy/foreach_target.h"
// Only behind foreach_target.
#include "ane/half_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace aneval::ane::HWY_NAMESPACE {

const char* TargetName() { return ANEVAL_EXACT_F16 ? hwy::TargetName(HWY_TARGET) : "portable"; }

void ToHalf(const float* source, half_t* destination, std::int64_t n) { RowToHalf(source, destination, n); }
void ToFloat(const half_t* source, float* destination, std::int64_t n) { RowToFloat(source, destination, n); }

void RowsToHalf(const FloatMatrix& source, const HalfRows& destination, Stores stores) {
  for (std::int64_t r = 0; r < source.rows; ++r) {
    const float* from = source.data + r * source.stride;
    half_t* to = destination.data + r * destination.stride;
    if (stores == Stores::streaming)
      StreamRowToHalf(from, to, source.cols);
    else
      RowToHalf(from, to, source.cols);
  }
  if (stores == Stores::streaming) hwy::FlushStream();
}

}  // namespace aneval::ane::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneval::ane {

HWY_EXPORT(ToHalf);
HWY_EXPORT(ToFloat);
HWY_EXPORT(RowsToHalf);
HWY_EXPORT(TargetName);

void to_half(const float* source, half_t* destination, std::int64_t n) {
  HWY_DYNAMIC_DISPATCH(ToHalf)(source, destination, n);
}

void to_float(const half_t* source, float* destination, std::int64_t n) {
  HWY_DYNAMIC_DISPATCH(ToFloat)(source, destination, n);
}

void to_half_rows(const FloatMatrix& source, const HalfRows& destination, Stores stores) {
  HWY_DYNAMIC_DISPATCH(RowsToHalf)(source, destination, stores);
}

std::string simd_target() { return HWY_DYNAMIC_DISPATCH(TargetName)(); }

}  // namespace aneval::ane
#endif
