// The kernels of this project and their references, for aneval's checker.
#pragma once

#include "validate/kernel_check.h"

namespace toy {

void add_kernels(aneval::validate::CheckOptions& options);

}  // namespace toy
