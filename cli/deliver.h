// What becomes of a comparison's outcome: the one place that prints it, writes its files and gives the exit code.
#pragma once

#include <filesystem>
#include <string>

#include "reports/gate/outcome.h"

namespace aneval::cli {

struct Delivery {
  std::string out;              // folder of gate.csv and gate.md, made when missing; empty: neither
  std::string junit, markdown;  // files, "-" for standard output, which then holds nothing else; empty: not written
  bool strict = false;
};

/// Before any work. Errors (exit code 2): a file that cannot be created, --out that is no folder, two outputs to
/// standard output.
void check_delivery(const Delivery& delivery);

/// Errors (exit code 3): an output that cannot be written.
int deliver(const gate::Outcome& outcome, const Delivery& delivery);

}  // namespace aneval::cli
