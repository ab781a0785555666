// The commands and options of the program as plain values, by one walk over CLI11's tree: the manual and the
// completions of shells are written from them, so that neither can miss what `--help` has.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace aneval::cli {

/// What may stand where a value is expected.
struct Values {
  std::vector<std::string> words;
  bool files = false, folders = false;
  bool pairs = false;  // the words are key=value, several joined by ';'

  bool operator==(const Values&) const = default;
};

struct OptionEntry {
  std::vector<std::string> names;  // "--help", "-h"; the one name of a positional
  std::string type;                // "PROFILE|FILE"; empty for flags
  std::string text, standard;      // what it is; its default
  bool required = false, repeated = false;
  int values = 0;  // words that follow the name: 0 for flags
  Values offered;
};

struct CommandEntry {
  std::string name, path;  // "check", "mil check"; of the program itself "aneval" and ""
  std::string text, footer;
  bool needs_command = false;  // one of `commands` has to follow
  std::vector<OptionEntry> options, positionals;
  std::vector<CommandEntry> commands;
};

/// Without commands that --help does not show.
CommandEntry command_tree(const CLI::App& app);

/// The command itself and all below it, in the order of --help.
std::vector<const CommandEntry*> flattened(const CommandEntry& root);

/// What an option of that type name takes. A type name has alternatives, separated by '|': names of the program's own
/// tables and places in capitals, PROFILE, KERNEL, MODEL, VARIANT, FAMILY, FILE, FOLDER, and words that stand for
/// themselves. Other capitals (TEXT, INT) are for the reader alone.
Values values_of_type(const std::string& type);

}  // namespace aneval::cli
