// MIL text: parser, printer in both dialects, checker with the rules of all families of engines, planner.
// What parses must print to a text that parses to the same program; what the checker takes, the planner takes or
// refuses with a place.
#include "ane/emulator/plan.h"
#include "ane/mil/checker.h"
#include "ane/mil/family_rules.h"
#include "ane/mil/text.h"
#include "fuzz/mil_weights.h"
#include "fuzz/support.h"

namespace {

using namespace aneval;

void check_round_trip(const mil::Program& program) {
  for (const mil::Dialect dialect : {mil::Dialect::modern, mil::Dialect::legacy}) {
    const std::string printed = mil::print(program, dialect);
    fuzz::must_accept("a printed program parses", [&] {
      fuzz::require(mil::print(mil::parse(printed, "printed.mil"), dialect) == printed,
                    "a printed program parses to the same program");
    });
  }
}

void judge(const mil::Program& program) {
  const ane::WeightFiles weights = fuzz::mil_weights();
  for (const ane::WeightFiles* files : {static_cast<const ane::WeightFiles*>(nullptr), &weights})
    for (const mil::Finding& finding : mil::check(program, files))
      fuzz::require(!mil::finding_text(program, finding).empty(), "a finding has a text");
  for (const mil::Family& family : mil::families()) (void)mil::check_family(program, family);
  mil::check_or_throw(program, &weights);
  (void)mil::matmul_flops(program.main());
  for (const bool slice_gain : {false, true}) (void)emulator::make_plan(program, weights, slice_gain);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::accepted([&] {
    const mil::Program program = mil::parse(fuzz::text_of(data, size), "fuzz.mil");
    check_round_trip(program);
    judge(program);
  });
  return 0;
}
