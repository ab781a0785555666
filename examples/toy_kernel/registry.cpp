#include "registry.h"

#include "reference.h"

// One line per kernel: the function of that name lives in the file of that name, its reference in reference.h.
#define TOY_KERNELS(KERNEL) KERNEL(gated_projection)

namespace toy {

#define TOY_DECLARE(name) aneval::ane::KernelSpec name();
TOY_KERNELS(TOY_DECLARE)

void add_kernels(aneval::validate::CheckOptions& options) {
#define TOY_ADD(name) options.add(name(), name##_reference<double>, name##_reference<float>);
  TOY_KERNELS(TOY_ADD)
}

}  // namespace toy
