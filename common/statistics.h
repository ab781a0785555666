// Order statistics.
#pragma once

#include <vector>

namespace aneval {

/// Of sorted values, linear between neighbours; q from 0 to 1. Throws std::logic_error for none.
double quantile(const std::vector<double>& sorted, double q);
/// The middle value, or the mean of the two middle ones. Throws std::logic_error for none.
double median(std::vector<double> values);

}  // namespace aneval
