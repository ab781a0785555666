// The pages of a report (report.cpp puts them together). Every function says in `missing` what it needs when the
// results have nothing for it.
#pragma once

#include <functional>

#include "reports/report.h"
#include "reports/tables.h"

namespace aneval::reports {

Verdict judge(const ResultSet& set);
/// What a process came to, in words.
std::string process_state(const Process& process);

/// Failures first; what ran, what was skipped and what is degraded.
Page verdict_page(const ResultSet& set);
/// One line per kernel with what matters of it.
Page kernels_page(const ResultSet& set);
/// Where time goes: in every kernel, in a layer.
Page phases_page(const ResultSet& set);
/// How times are distributed.
Page latency_page(const ResultSet& set);
/// Errors against derived bounds, and where they come from.
Page errors_page(const ResultSet& set);
/// What a chip's arithmetic does: headroom, dropped products, slices, rules.
Page arithmetic_page(const ResultSet& set);
/// All settings side by side: what one chip would do otherwise than another.
Page profiles_page(const ResultSet& set);
Page training_page(const ResultSet& set);
/// Variants against each other: time, error, regret.
Page sweeps_page(const ResultSet& set);
/// This machine's roofs, and what was held against yardsticks.
Page machine_page(const ResultSet& set);
Page defects_page(const ResultSet& set);
/// What others measured on real chips (published.csv), with its sources, beside these results.
Page published_page(const ResultSet& set);
/// Every judged case with the command that runs it again.
Page cases_page(const ResultSet& set);
Page environment_page(const ResultSet& set);
/// When nobody gave a history.
Page no_history_page();

/// The tables of every setting, marked with its name.
using SettingTables = std::vector<Table> (*)(const SeriesMap&);
void add_setting_tables(Page& page, const ResultSet& set, const std::vector<SettingTables>& functions);

}  // namespace aneval::reports
