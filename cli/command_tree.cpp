#include "cli/command_tree.h"

#include <algorithm>
#include <cctype>
#include <map>

#include "ane/emulator/profile.h"
#include "ane/kernels/kernel.h"
#include "ane/mil/family.h"
#include "ane/model_shape.h"
#include "ane/variant.h"
#include "common/names.h"

namespace aneval::cli {
namespace {

template <class Table>
void add_names(Values& values, const Table& table) {
  for (const auto& row : table) values.words.emplace_back(row.name);
}

/// Type names that stand for something. The words come from the tables that the program itself looks names up in.
const std::map<std::string, void (*)(Values&), std::less<>>& known_types() {
  static const std::map<std::string, void (*)(Values&), std::less<>> types = {
      {"FILE", [](Values& v) { v.files = true; }},
      {"FOLDER", [](Values& v) { v.folders = true; }},
      {"PROFILE", [](Values& v) { add_names(v, emulator::profiles()); }},
      {"MODEL", [](Values& v) { add_names(v, model_presets()); }},
      {"FAMILY", [](Values& v) { add_names(v, mil::families()); }},
      {"KERNEL", [](Values& v) { add_names(v, ane::KernelRegistry::builtin().all()); }},
      {"VARIANT",
       [](Values& v) {
         v.pairs = true;
         for (const ane::VariantChoice& choice : ane::variant_choices())
           for (const auto& value : choice.values)
             v.words.push_back(std::string(choice.key) + "=" + std::string(value));
       }},
  };
  return types;
}

bool in_capitals(const std::string& word) {
  return !word.empty() && std::ranges::all_of(word, [](unsigned char c) { return std::isupper(c) || c == '_'; });
}

/// The members of CLI::IsMember's "{own,hf}".
std::vector<std::string> members(const std::string& limits) {
  const auto begin = limits.find('{'), end = limits.find('}');
  if (begin == std::string::npos || end == std::string::npos) return {};
  return split(limits.substr(begin + 1, end - begin - 1), ',');
}

/// CLI11 calls an option with a name that also takes a place positional too.
bool is_positional(const CLI::Option& option) {
  return option.get_positional() && option.get_lnames().empty() && option.get_snames().empty();
}

OptionEntry entry(const CLI::Option& option) {
  OptionEntry e;
  if (is_positional(option)) {
    e.names = {option.get_name(true)};
  } else {
    for (const std::string& name : option.get_lnames()) e.names.push_back("--" + name);
    for (const std::string& name : option.get_snames()) e.names.push_back("-" + name);
  }
  e.text = option.get_description();
  e.required = option.get_required();
  const int most = option.get_items_expected_max();
  e.repeated = most >= CLI::detail::expected_max_vector_size;
  e.values = e.repeated ? 1 : most;
  if (e.values == 0) return e;
  e.standard = option.get_default_str();
  const std::string type = option.get_type_name();
  const auto limits = type.find(':');
  e.type = type.substr(0, limits);
  e.offered = values_of_type(e.type);
  if (limits == std::string::npos) return e;
  if (const auto chosen = members(type.substr(limits + 1)); !chosen.empty()) {
    e.offered.words = chosen;
    e.type = join(chosen, "|");
  }
  return e;
}

CommandEntry entry(const CLI::App& app, const std::string& path) {
  CommandEntry e;
  e.name = app.get_name();
  e.path = path;
  e.text = app.get_description();
  // CLI11 hands a footer down to every command: one that is the parent's says nothing new.
  if (app.get_parent() == nullptr || app.get_parent()->get_footer() != app.get_footer()) e.footer = app.get_footer();
  e.needs_command = app.get_require_subcommand_min() > 0;
  for (const CLI::Option* option : app.get_options())
    if (!option->get_group().empty()) (is_positional(*option) ? e.positionals : e.options).push_back(entry(*option));
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    if (!command->get_group().empty())
      e.commands.push_back(entry(*command, path.empty() ? command->get_name() : path + " " + command->get_name()));
  return e;
}

void collect(const CommandEntry& command, std::vector<const CommandEntry*>& all) {
  all.push_back(&command);
  for (const CommandEntry& below : command.commands) collect(below, all);
}

}  // namespace

Values values_of_type(const std::string& type) {
  Values values;
  for (const std::string& alternative : split(type, '|')) {
    const std::string first = alternative.substr(0, alternative.find(' '));  // "FILE FILE" are two of a kind
    if (const auto known = known_types().find(first); known != known_types().end())
      known->second(values);
    else if (!in_capitals(first))
      values.words.push_back(first);
  }
  return values;
}

CommandEntry command_tree(const CLI::App& app) { return entry(app, ""); }

std::vector<const CommandEntry*> flattened(const CommandEntry& root) {
  std::vector<const CommandEntry*> all;
  collect(root, all);
  return all;
}

}  // namespace aneval::cli
