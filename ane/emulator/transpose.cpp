#include "ane/emulator/transpose.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ane/emulator/transpose.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "ane/emulator/copy_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace aneval::emulator::HWY_NAMESPACE {

void TransposePlane(const Matrix& m, std::int64_t row_step, float* HWY_RESTRICT to) { Transpose(m, row_step, to); }

}  // namespace aneval::emulator::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneval::emulator {

HWY_EXPORT(TransposePlane);

void transpose(const float* from, std::int64_t rows, std::int64_t columns, std::int64_t column_step, float* to,
               std::int64_t row_step) {
  HWY_DYNAMIC_DISPATCH(TransposePlane)({from, rows, columns, 1, column_step}, row_step, to);
}

}  // namespace aneval::emulator
#endif
