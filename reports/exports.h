// Results for other tools: the ANE community's dashboard, and spreadsheets.
#pragma once

#include <string>

#include "reports/result_set.h"

namespace aneval::reports {

struct CommunityOptions {
  std::string username;  // empty: nobody is named
};

/// JSON of schema version 1 that the community's dashboard collects (maderix/ANE issue 36): system, sram_probe,
/// inmem_peak, training. From rows of phase `engine` and `train_step`. What failed is left out, never a time of -1;
/// utilisation is left out because it takes every chip's peak for 15.8 TFLOP/s. An emulator's numbers name it as their
/// chip. Errors: rows of several settings, or none of these phases.
std::string to_community(const ResultSet& set, const CommunityOptions& options = {});

/// One line per thing that was measured, one column per metric (medians), for spreadsheets. No text begins a formula.
std::string to_wide_csv(const ResultSet& set);

}  // namespace aneval::reports
