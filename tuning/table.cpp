#include "tuning/table.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "common/csv.h"
#include "common/error.h"
#include "common/files.h"
#include "common/names.h"
#include "tuning/plan.h"

namespace aneval::tuning {
namespace {

constexpr std::string_view kVerdicts[] = {"faster", "default", "only", "unconfirmed", "predicted"};
constexpr std::string_view kHows[] = {"exact", "nearest shape", "family", "default"};
constexpr std::size_t kMaxTable = 64 << 20;

struct Column {
  std::string_view name;
  std::function<std::string(const Entry&)> get;
  std::function<void(Entry&, const std::string& text, const std::string& what)> set;
};

Column text_column(std::string_view name, std::string Entry::* member) {
  return {name, [member](const Entry& e) { return e.*member; },
          [member](Entry& e, const std::string& text, const std::string&) { e.*member = text; }};
}
Column number_column(std::string_view name, double Entry::* member) {
  return {name, [member](const Entry& e) { return number_text(e.*member); },
          [member](Entry& e, const std::string& text, const std::string& what) {
            e.*member = parse_double(text, what);
            if (!std::isfinite(e.*member)) throw input_error(what, text + " is not finite", "correct the file");
          }};
}
Column count_column(std::string_view name, std::int64_t Entry::* member) {
  return {name, [member](const Entry& e) { return std::to_string(e.*member); },
          [member](Entry& e, const std::string& text, const std::string& what) { e.*member = parse_int(text, what); }};
}

const std::vector<Column>& columns() {
  static const std::vector<Column> all = {
      text_column("chip", &Entry::chip),
      text_column("family", &Entry::family),
      text_column("os", &Entry::os),
      text_column("backend", &Entry::backend),
      text_column("profile", &Entry::profile),
      text_column("kernel", &Entry::kernel),
      text_column("context", &Entry::context),
      text_column("knobs", &Entry::knobs),
      {"verdict", [](const Entry& e) { return std::string(verdict_name(e.verdict)); },
       [](Entry& e, const std::string& text, const std::string& what) {
         const auto found = std::ranges::find(kVerdicts, text);
         if (found == std::end(kVerdicts)) unknown_name(what, text, {std::begin(kVerdicts), std::end(kVerdicts)});
         e.verdict = static_cast<Verdict>(found - std::begin(kVerdicts));
       }},
      number_column("time_ns", &Entry::time_ns),
      number_column("default_ns", &Entry::default_ns),
      number_column("gain", &Entry::gain),
      number_column("gain_low", &Entry::gain_low),
      number_column("gain_high", &Entry::gain_high),
      number_column("p", &Entry::p),
      count_column("blocks", &Entry::blocks),
      number_column("error", &Entry::error),
      number_column("default_error", &Entry::default_error),
      count_column("points", &Entry::points),
      text_column("program", &Entry::program),
      text_column("build", &Entry::build),
      text_column("commit", &Entry::commit),
      text_column("time_utc", &Entry::time_utc)};
  return all;
}

Verdict verdict_of(const ContestOutcome& contest, bool predicted) {
  if (predicted) return Verdict::predicted;
  if (!contest.opposed) return Verdict::only;
  if (knobs_turned(contest.contest.best) == 0) return Verdict::kept;
  if (!contest.win.measured) return Verdict::unconfirmed;
  return contest.win.confirmed ? Verdict::faster : Verdict::kept;
}

double finite(double value, double otherwise) { return std::isfinite(value) ? value : otherwise; }

}  // namespace

std::string_view verdict_name(Verdict verdict) { return kVerdicts[static_cast<std::size_t>(verdict)]; }
std::string_view how_name(Answer::How how) { return kHows[static_cast<std::size_t>(how)]; }

Point Entry::point() const {
  Point point = parse_point(context, "context of the tuning table");
  if (knobs != "default")
    for (const auto& [name, value] : parse_pairs(knobs, "knobs of the tuning table"))
      find_parameter(name).set(point, value);
  return point;
}

std::vector<Entry> entries_of(const SweepOutcome& outcome, const RunContext& run, bool predicted) {
  std::vector<Entry> entries;
  for (const ContestOutcome& contest : outcome.contests) {
    Entry entry;
    entry.verdict = verdict_of(contest, predicted);
    const bool keeps = entry.verdict == Verdict::kept;
    const Contest& c = contest.contest;
    const PointResult& result = keeps ? c.plain_result : c.best_result;
    const Point& point = keeps ? c.plain : c.best;
    entry.chip = run.chip, entry.family = run.family, entry.os = run.os, entry.backend = run.backend;
    entry.profile = point.profile.empty() ? run.profile : point.profile;
    entry.kernel = point.c.kernel, entry.context = c.context, entry.knobs = knobs_text(point);
    entry.program = result.program;
    entry.time_ns = result.time_ns, entry.error = result.error;
    if (contest.opposed) entry.default_ns = c.plain_result.time_ns, entry.default_error = c.plain_result.error;
    if (contest.win.measured) {
      // Of the candidate, also where the default was kept: how little it would have brought.
      entry.gain = contest.win.gain, entry.p = contest.win.p;
      entry.gain_low = finite(contest.win.low, -1), entry.gain_high = finite(contest.win.high, 1);
      entry.blocks = static_cast<std::int64_t>(contest.win.blocks);
    } else if (contest.opposed && c.plain_result.time_ns > 0) {
      entry.gain = entry.gain_low = entry.gain_high = 1 - result.time_ns / c.plain_result.time_ns;
    }
    entry.points = contest.points;
    entry.build = run.build, entry.commit = run.commit, entry.time_utc = run.time_utc;
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::string table_text(std::vector<Entry> entries) {
  std::ranges::sort(entries, {},
                    [](const Entry& e) { return std::tie(e.chip, e.backend, e.profile, e.context, e.os); });
  std::vector<std::string> names;
  for (const Column& column : columns()) names.emplace_back(column.name);
  std::string text = join(names, ",") + "\n";
  for (const Entry& entry : entries) {
    for (const Column& column : columns()) {
      if (&column != &columns().front()) text += ',';
      append_csv_field(text, column.get(entry));
    }
    text += '\n';
  }
  return text;
}

void write_table(const std::filesystem::path& file, std::vector<Entry> entries) {
  write_file(file, table_text(std::move(entries)));
}

std::vector<Entry> read_table(const std::filesystem::path& file) {
  const std::string text = read_text_file(file, kMaxTable);
  std::vector<std::string> lines = split(text, '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  const auto place = [&](std::size_t line) { return file.string() + ":" + std::to_string(line + 1); };
  const auto fields_of = [&](std::size_t line) {
    std::string_view row = lines[line];
    if (row.ends_with('\r')) row.remove_suffix(1);
    const auto fields = csv_fields(row);
    if (!fields) throw input_error(place(line), "its quotes are not right", "correct the line");
    return *fields;
  };
  if (lines.empty()) throw input_error(file.string(), "is empty", "name a table that `aneval sweep` wrote");
  const std::vector<std::string> names = fields_of(0);
  std::vector<std::size_t> places;
  for (const Column& column : columns()) {
    const auto found = std::ranges::find(names, column.name);
    if (found == names.end())
      throw input_error(place(0), "has no column '" + std::string(column.name) + "'",
                        "name a tuning table (best.csv of `aneval sweep`)");
    places.push_back(static_cast<std::size_t>(found - names.begin()));
  }
  std::vector<Entry> entries;
  for (std::size_t line = 1; line < lines.size(); ++line) {
    const std::vector<std::string> fields = fields_of(line);
    if (fields.size() != names.size())
      throw input_error(place(line), std::to_string(fields.size()) + " fields, not " + std::to_string(names.size()),
                        "correct the line");
    Entry& entry = entries.emplace_back();
    for (std::size_t i = 0; i < columns().size(); ++i)
      columns()[i].set(entry, fields[places[i]], place(line) + ": " + std::string(columns()[i].name));
    try {
      (void)entry.point();
    } catch (const Error& error) {
      throw Error(error.code(), place(line) + ": " + error.subject(), error.reason(), error.remedy());
    }
  }
  return entries;
}

std::string staleness(const Entry& entry, std::string_view os) {
  if (!os.empty() && entry.os != os) return "measured on " + entry.os;
  if (entry.kernel == "layer") return {};
  try {
    if (program_identity(plan_kernel(entry.point(), entry.kernel)) != entry.program)
      return "measured with another program (commit " + entry.commit + ")";
  } catch (const Error& error) {
    return error.reason();
  }
  return {};
}

double shape_distance(const ModelShape& a, const ModelShape& b) {
  double sum = 0;
  for (const auto member : {&ModelShape::dim, &ModelShape::hidden, &ModelShape::heads, &ModelShape::kv_heads,
                            &ModelShape::head_dim, &ModelShape::seq})
    sum += std::abs(std::log(static_cast<double>(a.*member) / static_cast<double>(b.*member)));
  return sum;
}

Answer look_up(const std::vector<Entry>& entries, const Question& question, bool allow_stale) {
  Answer answer;
  double nearest = std::numeric_limits<double>::infinity();
  for (const Entry& entry : entries) {
    if (entry.kernel != question.point.c.kernel || entry.backend != question.backend) continue;
    if (entry.profile != question.point.profile && question.backend != "apple") continue;
    const bool chip = entry.chip == question.chip;
    if (!chip && (entry.family.empty() || entry.family != question.family)) continue;
    const Point point = entry.point();
    if (point.c.variant.head_map != question.point.c.variant.head_map ||
        point.c.shape.rope_pairing != question.point.c.shape.rope_pairing)
      continue;
    const std::string stale = staleness(entry, chip ? question.os : std::string_view());
    if (!stale.empty() && !allow_stale) continue;
    const double distance = shape_distance(point.c.shape, question.point.c.shape);
    const auto how = !chip ? Answer::How::family : distance == 0 ? Answer::How::exact : Answer::How::nearest_shape;
    if (how > answer.how || (how == answer.how && !(distance < nearest))) continue;
    answer = {how, &entry, stale};
    nearest = distance;
  }
  return answer;
}

}  // namespace aneval::tuning
