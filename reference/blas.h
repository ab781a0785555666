// The library whose matrix products Eigen calls: its own, or the platform's BLAS (build option ANEVAL_BLAS).
#pragma once

#include <string>

namespace aneval::reference {

/// "Eigen's own products", "OpenBLAS 0.3.21 …" with the kernels that it chose for this machine, or "Accelerate".
std::string blas_name();

/// Has every product computed on the thread that asks for it: threads are the project's own (ThreadPool), and bits must
/// not depend on how many there are. Holds for the process; called before the first product. Nothing to do for Eigen's
/// own products. Throws a refusal when the library cannot be told.
void keep_blas_on_one_thread();

}  // namespace aneval::reference
