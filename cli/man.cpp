// aneval man: the manual page, from the same tree of commands and options that --help shows.
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/command_tree.h"
#include "common/files.h"
#include "common/names.h"

namespace aneval::cli {
namespace {

struct Entry {
  std::string_view name, text;
};

/// One per run, the first that applies.
constexpr Entry kExitStatus[] = {
    {"0", "everything holds"},
    {"1", "a check that was run failed: a wrong result, a regression, a finding of mil check"},
    {"2", "arguments or input files are wrong"},
    {"3", "the device or the environment refused, or an output could not be written"},
    {"4", "compare: benchmarks are missing or failed, or nothing was compared"},
    {"5", "compare: a deterministic metric got worse"},
    {"128 + N", "ended by signal N (130: SIGINT, 143: SIGTERM), after what was done was written"},
};

/// manual_test.py looks for every variable that the sources ask for.
constexpr Entry kEnvironment[] = {
    {"ANEVAL_ANE_FRAMEWORK",
     "path of a library that takes the place of Apple's private framework; its rows have the backend apple-standin"},
    {"BENCHMARK_*",
     "bench: what the flag of that name would say, BENCHMARK_FILTER for --benchmark_filter; a flag wins over it"},
    {"GITHUB_ACTIONS", "true: compare also prints its findings as annotations of GitHub"},
    {"XDG_CONFIG_HOME, HOME", "where the label of this machine is kept, see FILES"},
    {"TMPDIR", "where probe keeps what its experiments write while they run"},
    {"ANEVAL_STANDIN_PROFILE, ANEVAL_STANDIN_FAULTS",
     "of the tests' stand-in for Apple's framework: whose arithmetic it has, and which calls fail"},
};

constexpr Entry kFiles[] = {
    {"$XDG_CONFIG_HOME/aneval/machine",
     "the random label that names this machine in results, made once (~/.config/aneval/machine without the variable, "
     "~/Library/Application Support/aneval/machine on macOS); --machine-label takes its place"},
    {"results.csv, environment.json, report.html, summary.md", "what a run leaves in its folder"},
};

/// Text of a line for troff: what it would take for its own is escaped, and everything beyond ASCII is named.
std::string escaped(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '\\') {
      result += "\\(rs";
    } else if (c == '-') {
      result += "\\-";
    } else if (c == '\'' || c == '`' || c == '^' || c == '~') {
      // As in a terminal, and never a request at the begin of a line.
      result += c == '\'' ? "\\(aq" : c == '`' ? "\\(ga" : c == '^' ? "\\(ha" : "\\(ti";
    } else if (c == '.' && (result.empty() || result.back() == '\n')) {
      result += "\\&.";
    } else if (c < 0x80) {
      result += text[i];
    } else {
      const int more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
      unsigned point = c & (0x3Fu >> more);
      for (int k = 0; k < more && i + 1 < text.size(); ++k)
        point = point << 6 | (static_cast<unsigned char>(text[++i]) & 0x3Fu);
      result += fmt::format("\\[u{:04X}]", point);
    }
  }
  return result;
}

std::string bold(std::string_view text) { return "\\fB" + escaped(text) + "\\fR"; }
std::string italic(std::string_view text) { return "\\fI" + escaped(text) + "\\fR"; }

std::string list_item(const std::string& head, std::string_view text) {
  return ".TP\n" + head + "\n" + escaped(text) + "\n";
}

template <std::size_t kSize>
std::string section(std::string_view title, const Entry (&entries)[kSize]) {
  std::string text = fmt::format(".SH {}\n", title);
  for (const Entry& entry : entries) text += list_item(bold(entry.name), entry.text);
  return text;
}

/// Lines as they are.
std::string verbatim(const std::string& text) {
  std::string lines = ".PP\n.nf\n";
  for (const std::string& line : split(text, '\n')) lines += (line.empty() ? "\\&" : escaped(line)) + "\n";
  return lines + ".fi\n";
}

std::string positional_text(const OptionEntry& p) {
  const std::string name = italic(p.names.front()) + (p.repeated ? " ..." : "");
  return p.required ? name : "[" + name + "]";
}

std::string usage(const CommandEntry& command) {
  std::string text = bold("aneval" + (command.path.empty() ? "" : " " + command.path));
  if (!command.options.empty()) text += " [" + italic("OPTIONS") + "]";
  for (const OptionEntry& positional : command.positionals) text += " " + positional_text(positional);
  if (!command.commands.empty())
    text += command.needs_command ? " " + italic("COMMAND") : " [" + italic("COMMAND") + "]";
  return text;
}

std::string option_item(const OptionEntry& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.names) names.push_back(bold(name));
  std::string head = join(names, ", ");
  if (!option.type.empty()) head += " " + italic(option.type);
  if (option.repeated) head += " ...";
  std::string text = option.text;
  if (!option.standard.empty()) text += " (default " + option.standard + ")";
  if (option.required) text += " (required)";
  return list_item(head, text);
}

/// A command with everything that it takes.
std::string command_section(const CommandEntry& command) {
  std::string text = fmt::format(".SS {}\n", escaped("aneval" + (command.path.empty() ? "" : " " + command.path)));
  text += escaped(command.text) + "\n";
  if (!command.path.empty()) text += ".PP\n" + usage(command) + "\n";
  for (const OptionEntry& positional : command.positionals) text += option_item(positional);
  for (const OptionEntry& option : command.options) text += option_item(option);
  if (!command.path.empty() && !command.footer.empty()) text += verbatim(command.footer);
  return text;
}

std::string manual(const CommandEntry& root, const std::string& version) {
  std::string text = ".\\\" Written by `aneval man`.\n";
  text += fmt::format(".TH ANEVAL 1 \"\" \"{}\" \"User Commands\"\n", escaped(version));
  text +=
      ".SH NAME\naneval \\- benchmarks and validates the kernels that train transformers on Apple\\(aqs Neural "
      "Engine\n";
  text += ".SH SYNOPSIS\n";
  for (const CommandEntry& command : root.commands) text += ".br\n" + usage(command) + "\n";
  text += ".SH DESCRIPTION\n" + escaped(root.text) + "\n";
  text += ".SH COMMANDS\n";
  for (const CommandEntry* command : flattened(root))
    if (!command->path.empty()) text += list_item(bold(command->path), command->text);
  text += ".SH OPTIONS\n";
  for (const CommandEntry* command : flattened(root)) text += command_section(*command);
  text += section("EXIT STATUS", kExitStatus);
  text += section("ENVIRONMENT", kEnvironment);
  text += section("FILES", kFiles);
  text += ".SH SEE ALSO\n" + escaped("aneval COMMAND --help, the folder docs/ of the sources,") +
          "\nhttps://github.com/google/benchmark for the flags of bench.\n";
  return text;
}

}  // namespace

void add_man(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("man", "the manual page (aneval.1), as troff");
  command->callback([&app, &action] {
    action = [&app] {
      const std::string version = version_text();
      write_file("-", manual(command_tree(app), version.substr(0, version.find(" ("))));
      return 0;
    };
  });
}

}  // namespace aneval::cli
