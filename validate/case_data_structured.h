// Structure in random data: what trained models' tensors have and independent normal numbers do not.
#pragma once

#include "validate/case_data.h"

namespace aneval::validate {

/// The tokens that the case makes sinks of, in ascending order: token 0 and, of 16 tokens or more, two others of the
/// first quarter.
std::vector<std::int64_t> sink_tokens(const Case& c);

/// For every token of the case the first one that it repeats, itself for the four that are distinct.
std::vector<std::int64_t> repeated_tokens(const Case& c);

/// Puts the structure of the case's kind into data=random of the same case. Gradients keep their size, amp·grad, and
/// are not scaled by the loss yet.
void add_structure(const Case& c, CaseData& data);

}  // namespace aneval::validate
