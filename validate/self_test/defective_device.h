// A device that commits a defect of the catalogue and is healthy otherwise.
#pragma once

#include <memory>

#include "ane/device.h"
#include "ane/emulator/profile.h"
#include "validate/self_test/defects.h"

namespace aneval::validate {

/// `healthy` runs what the defect leaves alone, under `profile` where the device computes itself (arithmetic defects).
/// Both it and the defect must outlive the device, which serves the one kernel of `site`.
std::unique_ptr<ane::Device> make_defective_device(ane::Device& healthy, const emulator::Profile& profile,
                                                   const Defect& defect, const DefectSite& site);

}  // namespace aneval::validate
