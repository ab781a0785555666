// Many tests in one run: which of them count.
#pragma once

#include <vector>

namespace aneval::gate {

/// Holm (1979): with probability 1 - alpha none of the rejected ones is wrong, whatever their dependence.
std::vector<bool> holm(const std::vector<double>& p, double alpha);

/// Benjamini and Hochberg (1995): of the rejected ones a share of q is wrong on average.
std::vector<bool> benjamini_hochberg(const std::vector<double>& p, double q);

}  // namespace aneval::gate
