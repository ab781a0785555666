// The completion scripts of bash and zsh: the same tables, and what each shell has to do with them.
#pragma once

#include <string>
#include <string_view>

#include "cli/command_tree.h"

namespace aneval::cli {

std::string bash_completion(const CommandEntry& root);
std::string zsh_completion(const CommandEntry& root);

/// The shells that there is a script for. To add one: a row here.
struct CompletionShell {
  std::string_view name;
  std::string (*script)(const CommandEntry& root);
};
const std::vector<CompletionShell>& completion_shells();

}  // namespace aneval::cli
