// aneval completion: a script that teaches a shell the commands, options and values of this program.
#include <algorithm>
#include <cstdio>

#include "cli/command.h"
#include "cli/completion_scripts.h"
#include "common/files.h"
#include "common/names.h"

namespace aneval::cli {
namespace {

std::vector<std::string> shell_names() {
  std::vector<std::string> names;
  for (const CompletionShell& shell : completion_shells()) names.emplace_back(shell.name);
  return names;
}

int completion_command(const CLI::App& app, const std::string& shell) {
  const auto& shells = completion_shells();
  const auto found = std::ranges::find(shells, shell, &CompletionShell::name);
  if (found == shells.end()) unknown_name("shell", shell, shell_names());
  write_file("-", found->script(command_tree(app)));
  return 0;
}

}  // namespace

void add_completion(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("completion", "a script that completes commands, options and values in a shell");
  auto shell = std::make_shared<std::string>();
  command->add_option("shell", *shell, "whose")->type_name(join(shell_names(), "|"))->required();
  command->footer("source <(aneval completion bash), or see docs/package.md; `cmake --install` puts both into place.");
  command->callback([shell, &app, &action] { action = [shell, &app] { return completion_command(app, *shell); }; });
}

}  // namespace aneval::cli
