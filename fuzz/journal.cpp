// Journals: the append-only file of lines with what a crash can leave in it, and a sweep's journal, whose results write
// to lines that read back the same.
#include "common/journal.h"

#include "fuzz/support.h"
#include "tuning/sweep_journal.h"

namespace {

using namespace aneval;

/// Complete lines stay, a cut one goes, and what is appended follows.
void check_lines(const std::filesystem::path& file, std::string_view content) {
  const auto lines = static_cast<std::size_t>(std::count(content.begin(), content.end(), '\n'));
  std::vector<std::string> kept;
  {
    Journal journal(file);
    kept = journal.lines();
    fuzz::require(kept.size() == lines, "a journal keeps its complete lines");
    fuzz::require(journal.repaired() == (!content.empty() && content.back() != '\n'), "a cut line is repaired");
    journal.append("more");
  }
  kept.emplace_back("more");
  const Journal again(file);
  fuzz::require(again.lines() == kept && !again.repaired(), "what was appended follows what was kept");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view content = fuzz::text_of(data, size);
  const fuzz::InputFile file(content, ".jsonl");
  fuzz::accepted([&] {
    const tuning::RecordedSweep recorded = tuning::read_journal(file.path());
    for (const auto& [point, result] : recorded.points) {
      const std::string line = tuning::result_json(result);
      fuzz::require(tuning::result_json(tuning::parse_result(line)) == line, "a result reads back the same");
    }
  });
  check_lines(file.path(), content);
  return 0;
}
