#include "common/csv.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <bit>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "common/files.h"
#include "common/names.h"
#include "common/random.h"
#include "common/test_support.h"
#include "common/worker.h"

namespace aneval {
namespace {

using testing::HasSubstr;

/// Every field is set and different, so that swapped columns show.
Record full_record() {
  Record record;
  record.run = {.run_id = "20260102T030405Z",
                .time_utc = "2026-01-02T03:04:05Z",
                .commit = "abc1234+dirty",
                .build = "release-gcc12-avx512",
                .machine = "machine-1",
                .chip = "Apple M4 Max",
                .family = "h16",
                .os = "macOS 26.3.1 (25D2128)",
                .backend = "apple",
                .profile = "-",
                .proc = 3};
  record.model = "Qwen3-0.6B";
  record.seq = 256;
  record.layer = 0;
  record.kernel = "sdpaFwd";
  record.variant = "heads=tiled;scale=folded";
  record.case_text = "kernel=sdpaFwd;seed=1";
  record.item = "attn";
  record.phase = "eval";
  record.metric = "time";
  record.unit = "ns";
  record.step = 11;
  record.rep = 4;
  record.status = Status::degraded;
  record.reason = "hot";
  record.value = 0.1;
  record.text = "0123abcd";
  return record;
}

std::vector<std::string> fields_of(const Record& record) {
  std::string line = csv_line(record);
  line.pop_back();
  return split(line, ',');
}

/// A line of the default row with one column replaced.
std::string line_with(std::string_view column, const std::string& field) {
  std::vector<std::string> fields = fields_of(full_record());
  const auto position = std::find(kRecordColumns.begin(), kRecordColumns.end(), column) - kRecordColumns.begin();
  fields.at(static_cast<std::size_t>(position)) = field;
  return join(fields, ",") + "\n";
}

/// Equal in everything that is written: lines are injective in the record.
void expect_same(const Record& read, const Record& written) { EXPECT_EQ(csv_line(read), csv_line(written)); }

std::string error_in(const std::string& text) {
  const Error error = error_of([&] { rows_of_text(text); });
  EXPECT_EQ(error.code(), ExitCode::bad_input);
  return error.what();
}

TEST(Csv, WritesThePublishedSchema) {
  EXPECT_EQ(csv_header(),
            "schema,run_id,proc,time_utc,commit,build,machine,chip,family,os,backend,profile,model,seq,layer,kernel,"
            "variant,case,item,phase,metric,unit,step,rep,status,reason,value,text\n");
  EXPECT_EQ(csv_line(full_record()),
            "1,20260102T030405Z,3,2026-01-02T03:04:05Z,abc1234+dirty,release-gcc12-avx512,machine-1,Apple M4 Max,h16,"
            "macOS 26.3.1 (25D2128),apple,-,Qwen3-0.6B,256,0,sdpaFwd,heads=tiled;scale=folded,kernel=sdpaFwd;seed=1,"
            "attn,eval,time,ns,11,4,degraded,hot,0.1,0123abcd\n");
  EXPECT_EQ(csv_line(Record()), "1,,0,,,,,,,,,,,,,,,,,,,,,,ok,,,\n");
}

TEST(Csv, EveryFieldComesBack) {
  const Record written = full_record();
  const std::vector<Record> records = rows_of_text(csv_header() + csv_line(written) + csv_line(Record()));
  ASSERT_EQ(records.size(), 2u);
  expect_same(records[0], written);
  EXPECT_EQ(records[0].run.profile, "-");
  EXPECT_EQ(records[0].case_text, "kernel=sdpaFwd;seed=1");
  EXPECT_EQ(records[0].rep, 4);
  expect_same(records[1], Record());
  EXPECT_EQ(records[1].value, std::nullopt);
  EXPECT_EQ(records[1].seq, std::nullopt);
}

TEST(Csv, AwkwardTextsComeBack) {
  for (const char* text : {"a,b", "\"", "\"quoted\"", "a\"b", " leading and trailing ", "\ttab\t", ",", "\"\"",
                           "µs · 2⁻¹⁷", "#", "'", "a,\"b\",c"}) {
    Record record = full_record();
    record.reason = text;
    record.text = text;
    const std::vector<Record> records = rows_of_text(csv_header() + csv_line(record));
    ASSERT_EQ(records.size(), 1u);
    EXPECT_EQ(records[0].reason, text);
    EXPECT_EQ(records[0].text, text);
  }
  Record record;
  record.text = "say \"a,b\"";
  EXPECT_THAT(csv_line(record), testing::EndsWith(",\"say \"\"a,b\"\"\"\n"));
}

TEST(Csv, ValuesComeBackBitForBit) {
  std::vector<double> values = {0.0,  -0.0, 0.1, 5e-324, -5e-324, 1.7976931348623157e308, 2.2250738585072014e-308,
                                1e22, 1e23};
  Random random(6);
  while (values.size() < 100'000) {
    const double value = std::bit_cast<double>(random.bits());
    if (std::isfinite(value)) values.push_back(value);
  }
  std::string text = csv_header();
  for (const double value : values) {
    Record record;
    record.value = value;
    text += csv_line(record);
  }
  const std::vector<Record> records = rows_of_text(text);
  ASSERT_EQ(records.size(), values.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    ASSERT_EQ(std::bit_cast<std::uint64_t>(records[i].value.value()), std::bit_cast<std::uint64_t>(values[i]))
        << values[i];
}

TEST(Csv, NumbersOfOtherWritersAreReadExactly) {
  for (const auto& [text, value] : std::vector<std::pair<std::string, double>>{
           {"1e-99999999999", 0.0}, {"0.1000000000000000055511151231257827", 0.1}, {"1E3", 1000}, {"-0", -0.0}}) {
    const auto records = rows_of_text(csv_header() + line_with("value", text));
    EXPECT_EQ(std::bit_cast<std::uint64_t>(records.at(0).value.value()), std::bit_cast<std::uint64_t>(value)) << text;
  }
}

TEST(Csv, ColumnsMayComeInAnyOrderWithUnknownOnesBetween) {
  std::vector<std::string> names(kRecordColumns.rbegin(), kRecordColumns.rend());
  std::vector<std::string> fields = fields_of(full_record());
  std::reverse(fields.begin(), fields.end());
  names.insert(names.begin() + 5, "new, column");
  fields.insert(fields.begin() + 5, "\"ignored, \"\"too\"\"\"");
  names[5] = "\"new, column\"";
  const auto records = rows_of_text(join(names, ",") + "\n" + join(fields, ",") + "\n");
  ASSERT_EQ(records.size(), 1u);
  expect_same(records[0], full_record());
}

TEST(Csv, CrLfByteOrderMarkAndMissingLastLineFeedAreAccepted) {
  std::string text = csv_header() + csv_line(full_record()) + csv_line(full_record());
  std::string crlf;
  for (const char c : text) crlf += c == '\n' ? "\r\n" : std::string(1, c);
  const std::vector<std::string> forms = {crlf, crlf.substr(0, crlf.size() - 1), crlf.substr(0, crlf.size() - 2),
                                          text.substr(0, text.size() - 1), "\xEF\xBB\xBF" + text};
  for (const std::string& form : forms) {
    const auto records = rows_of_text(form);
    ASSERT_EQ(records.size(), 2u);
    expect_same(records[1], full_record());
  }
  EXPECT_TRUE(rows_of_text(csv_header()).empty());
}

TEST(Csv, MissingColumnIsNamed) {
  for (const std::string_view column : kRecordColumns) {
    std::vector<std::string> names(kRecordColumns.begin(), kRecordColumns.end());
    std::erase(names, column);
    EXPECT_THAT(error_in(join(names, ",") + "\n"),
                HasSubstr("r.csv:1: column '" + std::string(column) + "' is missing"));
  }
}

TEST(Csv, HeaderProblems) {
  EXPECT_THAT(error_in(""), HasSubstr("r.csv:1: the file is empty"));
  EXPECT_THAT(error_in("\n"), HasSubstr("is missing"));
  EXPECT_THAT(error_in("unit," + csv_header()), HasSubstr("r.csv:1: column 'unit' appears twice"));
  EXPECT_THAT(error_in("\"schema," + csv_header()), HasSubstr("r.csv:1: a quote is not closed"));
}

TEST(Csv, BadRowsAreRefusedWithTheirLine) {
  const std::string good = csv_header() + csv_line(full_record());
  const auto message = [&](std::string_view column, const std::string& field) {
    return error_in(good + line_with(column, field) + csv_line(full_record()));
  };
  EXPECT_THAT(message("schema", "2"), HasSubstr("r.csv:3: schema '2' is not schema 1"));
  EXPECT_THAT(message("schema", ""), HasSubstr("is not schema 1"));
  EXPECT_THAT(message("status", "fine"), HasSubstr("r.csv:3: status 'fine' is unknown"));
  EXPECT_THAT(message("reason", ""), HasSubstr("r.csv:3: status 'degraded' has no reason"));
  for (const char* field : {"abc", "1.5x", "nan", "inf", "1e999", " 1", "0x10", "1,5"}) {
    const std::string quoted = '"' + std::string(field) + '"';
    EXPECT_THAT(message("value", quoted),
                HasSubstr("r.csv:3: value '" + std::string(field) + "' is not a finite number"));
  }
  for (const char* column : {"proc", "seq", "layer", "step", "rep"})
    for (const char* field : {"abc", "1.5", "9223372036854775808"})
      EXPECT_THAT(message(column, field), HasSubstr(std::string(column) + " '" + field + "' is not a whole number"));
  EXPECT_THAT(message("text", "a,b"), HasSubstr("r.csv:3: more fields"));
  EXPECT_THAT(message("text", "\"line\nbreak\""), HasSubstr("r.csv:3: a quote is not closed on its line"));
  EXPECT_THAT(message("text", "\"line\r\nbreak\""), HasSubstr("r.csv:3: a quote is not closed on its line"));
  EXPECT_THAT(message("text", "carriage\rreturn"), HasSubstr("r.csv:3: a carriage return inside a line"));
  EXPECT_THAT(message("text", std::string("a\0b", 3)), HasSubstr("r.csv:3: a NUL byte"));
  EXPECT_THAT(error_in(good + "1,cut off"), HasSubstr("r.csv:3: fewer fields"));
  EXPECT_THAT(error_in(good + "\n"), HasSubstr("r.csv:3: fewer fields"));
  EXPECT_THAT(error_in(good + std::string(std::size_t{1} << 25, 'x')), HasSubstr("r.csv:3: a line longer than 16 MiB"));
}

TEST(Csv, MistakesOfTheWriterAreLogicErrors) {
  const auto line_after = [](auto change) {
    Record record = full_record();
    change(record);
    return csv_line(record);
  };
  EXPECT_THROW(line_after([](Record& r) { r.value = std::numeric_limits<double>::quiet_NaN(); }), std::logic_error);
  EXPECT_THROW(line_after([](Record& r) { r.value = -std::numeric_limits<double>::infinity(); }), std::logic_error);
  EXPECT_THROW(line_after([](Record& r) { r.text = "a\nb"; }), std::logic_error);
  EXPECT_THROW(line_after([](Record& r) { r.run.chip = "a\rb"; }), std::logic_error);
  EXPECT_THROW(line_after([](Record& r) { r.item = std::string(1, '\0'); }), std::logic_error);
  EXPECT_THROW(line_after([](Record& r) { r.reason.clear(); }), std::logic_error);
  EXPECT_THROW(line_after([](Record& r) { r.schema = 2; }), std::logic_error);
}

// The bytes come in blocks of 32 MiB at first and 16 MiB then.
TEST(Csv, ProblemsAtTheEdgesOfBlocks) {
  constexpr std::size_t kBlock = std::size_t{1} << 24;
  std::string text = csv_header();
  while (text.size() < 3 * kBlock + 1000) text += csv_line(full_record());
  for (const std::size_t edge : {2 * kBlock, 3 * kBlock}) {
    const std::size_t line =
        1 + static_cast<std::size_t>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(edge), '\n'));
    for (const std::size_t position : {edge - 1, edge}) {
      for (const auto& [byte, problem] : {std::pair('\0', "a NUL byte"), std::pair('\r', "a carriage return")}) {
        std::string broken = text;
        broken[position] = byte;
        EXPECT_THAT(error_in(broken), HasSubstr(fmt::format("r.csv:{}: {}", line, problem)));
      }
    }
    // The missing last line feed has no room in a full block.
    const std::size_t begin_of_last = text.rfind('\n', edge - 400) + 1;
    std::string full = text.substr(0, begin_of_last);
    std::string last = csv_line(full_record());
    last.pop_back();
    full += last + std::string(edge - full.size() - last.size(), 'x');
    ASSERT_EQ(full.size(), edge);
    EXPECT_EQ(rows_of_text(full).back().text.back(), 'x');
  }
}

TEST(Csv, FilesLongerThanTheParsersBuffer) {
  const TemporaryFolder folder;
  std::vector<Record> records(200'000, full_record());  // about 50 MB; the parser works in blocks of 16 MiB
  for (std::size_t i = 0; i < records.size(); ++i) records[i].step = static_cast<std::int64_t>(i);
  write_csv(folder / "r.csv", records);
  const std::vector<Record> read = rows_of(folder / "r.csv");
  ASSERT_EQ(read.size(), records.size());
  for (std::size_t i = 0; i < records.size(); ++i) ASSERT_EQ(csv_line(read[i]), csv_line(records[i]));
}

TEST(Csv, VisitingLeavesNothingOfTheRowBefore) {
  const TemporaryFolder folder;
  write_file(folder / "r.csv", csv_header() + csv_line(full_record()) + csv_line(Record()) + csv_line(full_record()));
  std::string lines = csv_header();
  visit_csv(folder / "r.csv", [&](const Record& record) { lines += csv_line(record); });
  EXPECT_EQ(lines, read_text_file(folder / "r.csv"));
  EXPECT_THAT(error_of([&] { visit_csv(folder.path(), [](const Record&) {}); }).what(),
              HasSubstr("cannot read: Is a dir"));
  EXPECT_THAT(error_of([&] { visit_csv(folder / "none", [](const Record&) {}); }).what(), HasSubstr("cannot open"));
  EXPECT_THROW(visit_csv(folder / "r.csv", [](const Record&) { throw std::runtime_error("stop"); }),
               std::runtime_error);
}

TEST(Csv, ErrorsNameTheFile) {
  const TemporaryFolder folder;
  write_file(folder / "bad.csv", csv_header() + "x\n");
  EXPECT_THAT(error_of([&] { rows_of(folder / "bad.csv"); }).what(), HasSubstr("bad.csv:2: fewer fields"));
  EXPECT_THAT(error_of([&] { rows_of(folder / "none.csv"); }).what(), HasSubstr("none.csv: cannot open"));
}

TEST(Record, StatusNamesAreThePublishedOnes) {
  const std::vector<std::string> names = {
      "ok",        "degraded",    "failed",       "skipped",   "constraint",    "compile_error", "compile_timeout",
      "run_error", "run_timeout", "wrong_result", "nonfinite", "not_on_engine", "unstable"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(status_name(static_cast<Status>(i)), names[i]);
    EXPECT_EQ(parse_status(names[i]), static_cast<Status>(i));
  }
  EXPECT_EQ(parse_status("OK"), std::nullopt);
  EXPECT_EQ(parse_status(""), std::nullopt);
}

TEST(Csv, PythonReadsEqualDoubles) {
  const TemporaryFolder folder;
  std::vector<Record> records;
  Random random(7);
  while (records.size() < 5000) {
    Record record = full_record();
    record.value = std::bit_cast<double>(random.bits());
    if (!std::isfinite(*record.value)) continue;
    record.text = fmt::format("{:a}", *record.value);
    record.reason = records.size() % 2 == 0 ? "a, \"quoted\" reason" : "plain";
    records.push_back(record);
  }
  write_csv(folder / "r.csv", records);
  // csv and float are Python's own; hexadecimal floats are exact.
  const std::string script = R"(import csv, sys
rows = list(csv.DictReader(open(sys.argv[1], newline='', encoding='utf-8')))
ragged = sum(None in row or None in row.values() for row in rows)
different = sum(float(row['value']) != float.fromhex(row['text']) for row in rows)
reasons = {row['reason'] for row in rows}
print(len(rows), ragged, different, len(rows[0]), sorted(reasons)))";
  try {
    const ProcessResult python =
        run_process({"python3", "-c", script, (folder / "r.csv").string()}, std::chrono::seconds(60));
    EXPECT_EQ(python.out, "5000 0 0 28 ['a, \"quoted\" reason', 'plain']\n") << python.err;
  } catch (const Error&) {
    GTEST_SKIP() << "there is no python3";
  }
}

}  // namespace
}  // namespace aneval
