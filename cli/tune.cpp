// aneval tune: the tuning table that sweeps made, for people (show) and for trainers (export).
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "common/error.h"
#include "common/files.h"
#include "common/names.h"
#include "tuning/cost_model.h"
#include "tuning/export.h"
#include "tuning/summary.h"
#include "tuning/table.h"

namespace aneval::cli {
namespace {

struct TuneOptions {
  std::vector<std::string> tables;
  std::string chip, family, os, backend = "apple", profile, kernel, model, format = "json", out = "-";
  std::optional<std::int64_t> seq;
  bool allow_stale = false, cost_models = false;
};

/// Of all tables, the last one that has an entry wins: a user's own beside the shipped ones.
std::vector<tuning::Entry> read_tables(const std::vector<std::string>& files) {
  std::vector<tuning::Entry> all;
  const auto key = [](const tuning::Entry& e) { return std::tie(e.chip, e.os, e.backend, e.profile, e.context); };
  for (const std::string& file : files)
    for (tuning::Entry& entry : tuning::read_table(file)) {
      const auto known = std::ranges::find_if(all, [&](const tuning::Entry& e) { return key(e) == key(entry); });
      (known == all.end() ? all.emplace_back() : *known) = std::move(entry);
    }
  return all;
}

bool wanted(const TuneOptions& o, const tuning::Entry& e) {
  return (o.chip.empty() || e.chip == o.chip) && (o.family.empty() || e.family == o.family) &&
         (o.kernel.empty() || e.kernel == o.kernel) && (o.profile.empty() || e.profile == o.profile);
}

/// One question: which knobs for this kernel at this shape on this chip.
int answer(const TuneOptions& o, const std::vector<tuning::Entry>& entries) {
  tuning::Question question{o.chip, o.family, o.os, o.backend, {}};
  tuning::find_parameter("kernel").set(question.point, o.kernel);
  tuning::find_parameter("model").set(question.point, o.model);
  if (o.seq) tuning::find_parameter("seq").set(question.point, std::to_string(*o.seq));
  if (!o.profile.empty()) tuning::find_parameter("profile").set(question.point, o.profile);
  const tuning::Answer found = tuning::look_up(entries, question, o.allow_stale);
  if (found.entry == nullptr) {
    fmt::print("default: no table knows {} on {}\n", o.kernel, o.chip.empty() ? "an unnamed chip" : o.chip);
    return 0;
  }
  fmt::print("{}: {}: {}\n", found.entry->knobs, tuning::how_name(found.how), tuning::entry_line(*found.entry));
  if (!found.stale.empty()) fmt::print("stale: {}\n", found.stale);
  return 0;
}

int print_cost_models() {
  for (const tuning::Figure& f : tuning::cost_figures())
    fmt::print("{} ({}) {:<12} {:>6g} {:<8} from {:g} to {:g}, {}: {}\n", f.family, f.chip, f.figure, f.value, f.unit,
               f.low, f.high, f.evidence, f.source);
  for (const tuning::PublishedLatency& l : tuning::compare_with_published())
    fmt::print("{} ({}) {} {} -> {} S {}, {} weights: published {:.3f} ms, predicted {:.3f} ms ({:.2f} of it); {}\n",
               l.family, l.chip, l.what, l.ic, l.oc, l.seq, l.weights, l.published_ms, l.predicted_ms,
               l.predicted_ms / l.published_ms, l.source);
  return 0;
}

int show(const TuneOptions& o) {
  if (o.cost_models) return print_cost_models();
  if (o.tables.empty()) throw input_error("tune show", "names no table", "give best.csv of a sweep, or --cost-models");
  const auto entries = read_tables(o.tables);
  if (!o.kernel.empty() && !o.model.empty()) return answer(o, entries);
  std::size_t shown = 0;
  for (const tuning::Entry& entry : entries) {
    if (!wanted(o, entry)) continue;
    const std::string stale = tuning::staleness(entry, o.os);
    fmt::print("{:<24} {:<13} {}{}\n", entry.chip, entry.backend, tuning::entry_line(entry),
               stale.empty() ? "" : "  STALE: " + stale);
    ++shown;
  }
  fmt::print("{} of {} entries\n", shown, entries.size());
  return 0;
}

int export_table(const TuneOptions& o) {
  std::vector<tuning::Entry> chosen;
  std::size_t left_out = 0;
  for (tuning::Entry& entry : read_tables(o.tables)) {
    if (!wanted(o, entry)) continue;
    if (!o.allow_stale && !tuning::staleness(entry, o.os).empty())
      ++left_out;
    else
      chosen.push_back(std::move(entry));
  }
  if (chosen.empty())
    throw input_error("tune export",
                      left_out > 0 ? std::to_string(left_out) + " entries are stale, and there is no other"
                                   : "no entry fits --chip, --family, --kernel and --profile",
                      "measure again, or give --allow-stale or other tables");
  if (left_out > 0) fmt::print(stderr, "aneval: tune export: {} stale entries are left out\n", left_out);
  write_file(o.out, o.format == "header" ? tuning::header_text(chosen) : tuning::json_text(chosen));
  return 0;
}

void add_filters(CLI::App& app, TuneOptions& o) {
  app.add_option("--chip", o.chip, "only this chip, as tables have it, e.g. 'Apple M4 Max'");
  app.add_option("--family", o.family, "only this family of engines: h13 (M1) … h18 (M6)")->type_name("FAMILY");
  app.add_option("--os", o.os, "entries of another OS build are stale, e.g. 'macOS 26.3.1 (25D2128)'");
  app.add_option("--profile", o.profile, "only this profile")->type_name("PROFILE");
  app.add_option("--kernel", o.kernel, "only this kernel, or `layer`")->type_name("KERNEL|layer");
  app.add_flag("--allow-stale", o.allow_stale, "also entries of another OS build or of another program");
}

}  // namespace

void add_tune(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("tune", "the tuning table: what sweeps found, for people and for trainers");
  command->require_subcommand(1);
  auto options = std::make_shared<TuneOptions>();
  auto* shown = command->add_subcommand("show", "entries, or with --kernel and --model the answer to one question");
  shown->add_option("tables", options->tables, "best.csv of sweeps; of equal entries the last one counts")
      ->type_name("FILE");
  add_filters(*shown, *options);
  shown->add_option("--model", options->model, "NAME or FILE.json: which knobs --kernel should have at that shape")
      ->type_name("MODEL|FILE");
  shown->add_option("--seq", options->seq, "at another S than the model's");
  shown->add_option("--backend", options->backend, "whose entries may answer (apple, emulator, predicted)")
      ->type_name("apple|emulator|predicted")
      ->capture_default_str();
  shown->add_flag("--cost-models", options->cost_models,
                  "the figures that predictions rest on, and what they make of published latencies");
  shown->callback([options, &action] { action = [options] { return show(*options); }; });
  auto* exported = command->add_subcommand("export", "as JSON or as a C++ header");
  exported->add_option("tables", options->tables, "best.csv of sweeps; of equal entries the last one counts")
      ->type_name("FILE")
      ->required();
  add_filters(*exported, *options);
  exported->add_option("--format", options->format, "json or header")
      ->check(CLI::IsMember({"json", "header"}))
      ->capture_default_str();
  exported->add_option("--out", options->out, "file (standard output)")->type_name("FILE");
  exported->callback([options, &action] { action = [options] { return export_table(*options); }; });
}

}  // namespace aneval::cli
