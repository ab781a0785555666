#include "reference/matrix.h"

namespace aneval::reference {

template <>
const int MatricesAlignedTo<EIGEN_MAX_ALIGN_BYTES>::kInLibrary = EIGEN_MAX_ALIGN_BYTES;

}  // namespace aneval::reference
