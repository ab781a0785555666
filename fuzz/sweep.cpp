// Sweep files: what is accepted has points, and its identity describes the same sweep.
#include "fuzz/support.h"
#include "tuning/sweep_file.h"

using namespace aneval;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::accepted([&] {
    const tuning::SweepFile sweep = tuning::parse_sweep(fuzz::text_of(data, size), "fuzz.json");
    const std::int64_t product = sweep.product();
    fuzz::require(product >= 1, "a sweep has a point");
    for (const std::int64_t number : {std::int64_t{0}, product / 2, product - 1})
      // A seq that no surface of its model holds is a point's error, not the file's.
      fuzz::accepted([&] {
        const tuning::Point point = sweep.point(number);
        for (const tuning::Constraint& constraint : sweep.constraints) (void)constraint.allows(point);
        fuzz::require(!tuning::point_text(point).empty(), "a point has a name");
      });
    fuzz::must_accept("the identity of a sweep is a sweep", [&] {
      const tuning::SweepFile again = tuning::parse_sweep(sweep.identity, "identity.json");
      fuzz::require(again.identity == sweep.identity && again.product() == product,
                    "the identity of a sweep describes the same sweep");
    });
  });
  return 0;
}
