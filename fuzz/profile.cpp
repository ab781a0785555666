// Files of `aneval probe`, as --profile takes them. A profile that is accepted has the name of the same arithmetic,
// unless it brings a table of its own along, and what it is bounded with is finite.
#include "ane/emulator/profile_file.h"

#include <cmath>

#include "fuzz/support.h"

using namespace aneval;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InputFile file(fuzz::text_of(data, size), ".json");
  fuzz::accepted([&] {
    const emulator::Profile profile = emulator::read_profile_file(file.path());
    fuzz::require(std::isfinite(profile.slice_gain), "a profile's slice gain is a number");
    if (profile.measured_sigmoid != nullptr) return;
    fuzz::must_accept("the name of a profile names it", [&] {
      fuzz::require(emulator::find_profile(profile.name).name == profile.name, "the same name");
    });
  });
  return 0;
}
