// Result rows in CSV: rows that are accepted can be gathered for a report, and written to a text that reads back to the
// same rows. An input that does not begin like a header gets one, so that fuzzing reaches the rows behind it.
#include "common/csv.h"

#include "fuzz/support.h"
#include "reports/result_set.h"

namespace {

using namespace aneval;

std::vector<Record> rows_of(std::string_view text) {
  std::vector<Record> rows;
  visit_csv_text(text, "fuzz.csv", [&](const Record& row) { rows.push_back(row); });
  return rows;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::text_of(data, size);
  const std::string text = (input.starts_with("schema") ? "" : csv_header()) + std::string(input);
  (void)csv_fields(input.substr(0, input.find('\n')));
  fuzz::accepted([&] {
    const std::vector<Record> rows = rows_of(text);
    reports::ResultSet set;
    for (const Record& row : rows) set.add(row);
    for (const auto& [setting, series] : set.settings)
      for (const auto& [key, values] : series)
        if (!values.values.empty()) (void)values.relative_iqr();
    const std::string written = csv_text(rows);
    fuzz::must_accept("rows that were written read back", [&] {
      fuzz::require(csv_text(rows_of(written)) == written, "rows that were written read back the same");
    });
  });
  return 0;
}
