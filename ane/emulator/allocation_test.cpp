// An evaluation allocates nothing once each of its kind has run: counted by a malloc of this program's own, which glibc
// allows (operator new and Eigen end there, too). Elsewhere, and in debug builds and under sanitizers, it is skipped.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

#include "ane/emulator/device_arithmetic.h"
#include "ane/emulator/emulator.h"
#include "ane/emulator/evaluator.h"
#include "ane/emulator/kernel_plans.h"
#include "ane/emulator/matrix_product.h"
#include "ane/every_target.h"
#include "common/random.h"

#if defined(__GLIBC__) && !defined(ANEVAL_SLOW_BUILD)
#define ANEVAL_COUNTS_ALLOCATIONS 1

namespace {
std::atomic<std::int64_t> allocations{0};
}

extern "C" {
void* __libc_malloc(std::size_t size) noexcept;
void* __libc_calloc(std::size_t n, std::size_t size) noexcept;
void* __libc_realloc(void* old, std::size_t size) noexcept;
void* __libc_memalign(std::size_t alignment, std::size_t size) noexcept;

void* malloc(std::size_t size) noexcept {
  ++allocations;
  return __libc_malloc(size);
}
void* calloc(std::size_t n, std::size_t size) noexcept {
  ++allocations;
  return __libc_calloc(n, size);
}
void* realloc(void* old, std::size_t size) noexcept {
  ++allocations;
  return __libc_realloc(old, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  ++allocations;
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** result, std::size_t alignment, std::size_t size) noexcept {
  ++allocations;
  *result = __libc_memalign(alignment, size);
  return *result == nullptr ? ENOMEM : 0;
}
}
#endif

namespace aneval::emulator {
namespace {

#ifdef ANEVAL_COUNTS_ALLOCATIONS

template <class Run>
std::int64_t allocations_of(const Run& run) {
  const std::int64_t before = allocations;
  run();
  return allocations - before;
}

TEST(Allocation, IsCounted) {
  EXPECT_EQ(allocations_of([] {}), 0);
  [[maybe_unused]] static const float* volatile seen;  // clang leaves out memory that nobody looks at
  EXPECT_GE(allocations_of([] {
              const std::vector<float> room(std::size_t{1} << 20, 1.0F);
              seen = room.data();
            }),
            1);
  EXPECT_GE(allocations_of([] { const Elements<float> room(1000); }), 1);
}

TEST(Allocation, AnEvaluationOfAKernelNeedsNone) {
  for_each_kernel_plan([&](const std::string& kernel, const std::shared_ptr<const Plan>& plan, const Profile& profile) {
    Evaluator<DeviceArithmetic> evaluator(plan, DeviceArithmetic(profile), nullptr);
    Random(3).fill_normal(evaluator.input(0), 0.5);
    evaluator.run();  // threads keep what they need from the first time on
    EXPECT_EQ(allocations_of([&] { evaluator.run(); }), 0) << kernel << " on " << profile.name;
  });
}

// Large enough for Eigen not to pack on the stack, and with an operand that is copied first.
TEST(Allocation, LargeProductsNeedNone) {
  constexpr std::int64_t kSize = 700;
  const std::vector<float> x(std::size_t{2} * kSize * kSize, 1.0F), y(std::size_t{2} * kSize * kSize, 2.0F);
  std::vector<float> result(std::size_t{kSize} * kSize);
  const Extents shape = extents_of({1, kSize, kSize});
  const Extents strides = contiguous_strides(shape), spread = extents_of({0, 2 * kSize, 2});
  const auto multiply = [&] {
    matrix_product(TensorView<const float>{x.data(), shape, strides}, TensorView<const float>{y.data(), shape, spread},
                   TensorView<float>{result.data(), shape, strides}, nullptr);
  };
  multiply();
  EXPECT_EQ(allocations_of(multiply), 0);
  EXPECT_EQ(result.back(), 2.0F * kSize);
}

TEST(Allocation, AnEvaluationThroughTheDeviceNeedsNone) {
  const auto device = make_emulator({});
  const auto executable =
      device->compile({"double",
                       "program(1.3)\n{\n  func main<ios18>(tensor<fp16, [1, 4, 1, 8]> x) {\n"
                       "tensor<fp16, [1, 4, 1, 8]> y = add(x = x, y = x)[name = string(\"y\")];\n  } -> (y);\n}\n",
                       {},
                       64,
                       64});
  device->load(*executable);
  const auto request = device->make_request(executable, device->create_surface(64), device->create_surface(64));
  device->evaluate(*request);
  EXPECT_EQ(allocations_of([&] { device->evaluate(*request); }), 0);
}

#else
TEST(Allocation, IsCounted) {
  GTEST_SKIP() << "allocations are counted with glibc, in optimised builds without sanitizers";
}
#endif

}  // namespace
}  // namespace aneval::emulator
