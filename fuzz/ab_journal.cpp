// Journals of a comparison of two builds (compare --ab --resume). What is accepted goes on: a process that is added is
// found by the next reader, beside all that were there.
#include "reports/gate/ab_journal.h"

#include "fuzz/support.h"

using namespace aneval;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::filesystem::path folder = fuzz::temporary_path("-ab");
  std::filesystem::create_directory(folder);
  fuzz::write_input(folder / "journal.jsonl", fuzz::text_of(data, size));
  const nlohmann::ordered_json comparison = {{"a", "1"}, {"runs", 2}};
  std::size_t finished = 0;
  const bool taken = fuzz::accepted([&] {
    gate::AbJournal journal(folder, comparison, true);
    journal.add("fuzz-1", {"fuzz-1.csv", ""});
    finished = journal.size();
  });
  if (taken)
    fuzz::must_accept("a journal that goes on is one", [&] {
      const gate::AbJournal again(folder, comparison, true);
      const auto found = again.find("fuzz-1");
      fuzz::require(again.size() == finished && found && found->file == "fuzz-1.csv" && found->ended.empty(),
                    "a process that was added is found");
    });
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return 0;
}
