// Tuning tables (best.csv): entries that are accepted name points, and write to a table that reads back the same.
#include "fuzz/support.h"
#include "tuning/table.h"

using namespace aneval;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InputFile file(fuzz::text_of(data, size), ".csv");
  fuzz::accepted([&] {
    const std::vector<tuning::Entry> entries = tuning::read_table(file.path());
    for (const tuning::Entry& entry : entries)
      fuzz::require(!tuning::knobs_text(entry.point()).empty(), "an entry has knobs");
    const std::string written = tuning::table_text(entries);
    fuzz::must_accept("a table that was written reads back", [&] {
      const fuzz::InputFile again(written, ".csv");
      fuzz::require(tuning::table_text(tuning::read_table(again.path())) == written, "a table reads back the same");
    });
  });
  return 0;
}
