#include "reference/blas.h"

#include "common/error.h"

#if defined(ANEVAL_OPENBLAS)
#include <cblas.h>
#elif defined(ANEVAL_ACCELERATE)
#include <stdlib.h>
#endif

namespace aneval::reference {

#if defined(ANEVAL_OPENBLAS)

std::string blas_name() { return openblas_get_config(); }

void keep_blas_on_one_thread() { openblas_set_num_threads(1); }

#elif defined(ANEVAL_ACCELERATE)

std::string blas_name() { return "Accelerate"; }

// vecLib's variable, read at its first product: the function for it came with macOS 15.
void keep_blas_on_one_thread() {
  if (::setenv("VECLIB_MAXIMUM_THREADS", "1", 1) != 0)
    throw refusal("VECLIB_MAXIMUM_THREADS", "cannot be set to 1", "set it before you start aneval");
}

#else

std::string blas_name() { return "Eigen's own products"; }

void keep_blas_on_one_thread() {}

#endif

}  // namespace aneval::reference
