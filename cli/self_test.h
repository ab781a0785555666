// aneval validate --self-test: whether the judge finds what is wrong and passes what is not.
#pragma once

#include <string>

#include "cli/command.h"

namespace aneval::cli {

/// Exit code 0 when everything that can be found was, and nothing else. `filter` picks cases; empty: all.
int self_test_command(const DeviceOptions& device, bool full, const std::string& filter, const std::string& out);

}  // namespace aneval::cli
