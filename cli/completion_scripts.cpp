#include "cli/completion_scripts.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/names.h"

namespace aneval::cli {
namespace {

std::vector<std::string> option_names(const CommandEntry& command) {
  std::vector<std::string> names;
  for (const OptionEntry& option : command.options) names.insert(names.end(), option.names.begin(), option.names.end());
  return names;
}

std::vector<std::string> command_names(const CommandEntry& command) {
  std::vector<std::string> names;
  for (const CommandEntry& below : command.commands) names.push_back(below.name);
  return names;
}

/// Places where the same is expected: `'validate --kernel'|'bench --kernel') count=1 offered='…' places='…' ;;`. The
/// place of the n-th argument without an option is called @n.
struct Arm {
  Values offered;
  int count;
  std::vector<std::string> patterns;
};

std::vector<Arm> arms(const CommandEntry& root) {
  std::vector<Arm> all;
  const auto add = [&](const Values& offered, int count, std::string pattern) {
    const auto same = std::ranges::find_if(all, [&](const Arm& a) { return a.offered == offered && a.count == count; });
    (same == all.end() ? all.emplace_back(Arm{offered, count, {}}) : *same).patterns.push_back(std::move(pattern));
  };
  for (const CommandEntry* command : flattened(root)) {
    for (const OptionEntry& option : command->options)
      if (option.values > 0)
        for (const std::string& name : option.names)
          add(option.offered, option.values, single_quoted(command->path + " " + name));
    std::size_t place = 1;
    for (const OptionEntry& positional : command->positionals) {
      const std::string at = command->path + " @";
      add(positional.offered, 1,
          positional.repeated ? single_quoted(at) + "*" : single_quoted(at + std::to_string(place)));
      ++place;
    }
  }
  return all;
}

/// A function of either shell: what follows an option, or stands at a place.
std::string values_function(const CommandEntry& root) {
  std::string text =
      "# _aneval_values COMMAND OPTION-OR-@PLACE: how many words follow, which are known, and whether they name "
      "files.\n"
      "_aneval_values() {\n  count=0 offered='' places=''\n  case \"$1 $2\" in\n";
  for (const Arm& arm : arms(root)) {
    const Values& v = arm.offered;
    const std::string places =
        std::string(v.files ? "files " : "") + (v.folders ? "folders " : "") + (v.pairs ? "pairs" : "");
    text += fmt::format("    {})\n      count={} offered={} places={} ;;\n", join(arm.patterns, "|"), arm.count,
                        single_quoted(join(v.words, " ")), single_quoted(places));
  }
  return text + "  esac\n}\n\n";
}

constexpr std::string_view kBashDriver =
    R"~(# Words as they were typed: bash also breaks them at = and :, and replaces the last piece only.
_aneval_typed() {
  local rest=${COMP_LINE:0:COMP_POINT} gap word i
  typed=()
  for ((i = 0; i <= COMP_CWORD; ++i)); do
    gap=${rest%%[![:space:]]*}
    rest=${rest#"$gap"}
    word=${COMP_WORDS[i]}
    ((i < COMP_CWORD)) || word=$rest
    rest=${rest#"$word"}
    if ((i > 0)) && [[ -z $gap ]]; then
      typed[${#typed[@]} - 1]+=$word
    else
      typed+=("$word")
    fi
  done
}

# _aneval_offer OPTION-OR-@PLACE TYPED BEFORE: what is known there and begins so; BEFORE stands in front of it in the same word.
_aneval_offer() {
  local value=$2 before=$3 word
  _aneval_values "$command" "$1"
  if [[ $places == *pairs* && $value == *';'* ]]; then
    before+=${value%;*}';'
    value=${value##*;}
  fi
  for word in $offered; do
    [[ $word == "$value"* ]] && COMPREPLY+=("$before$word")
  done
  local IFS=$'\n'
  if [[ $places == *files* ]]; then
    COMPREPLY+=($(compgen -P "$before" -f -- "$value"))
    compopt -o filenames 2>/dev/null
  elif [[ $places == *folders* ]]; then
    COMPREPLY+=($(compgen -P "$before" -d -- "$value"))
    compopt -o filenames 2>/dev/null
  fi
}

_aneval() {
  local IFS=$' \t\n' typed command='' pending='' left=0 place=1 last word i
  local subcommands flags count offered places
  COMPREPLY=()
  _aneval_typed
  last=$((${#typed[@]} - 1))
  _aneval_command ''
  for ((i = 1; i < last; ++i)); do
    word=${typed[i]}
    if ((left > 0)); then
      left=$((left - 1))
    elif [[ $word == -*=* ]]; then
      :
    elif [[ $word == -* ]]; then
      pending=$word
      _aneval_values "$command" "$word"
      left=$count
    elif [[ " $subcommands " == *" $word "* ]]; then
      command=${command:+$command }$word
      place=1
      _aneval_command "$command"
    else
      place=$((place + 1))
    fi
  done
  word=${typed[last]}
  local kept=''
  case $word in
    [\'\"]*) word=${word:1} ;;
    *)
      # What lies before the last = or : stays where it is, when bash breaks words there.
      [[ $COMP_WORDBREAKS == *=* && $word == *=* ]] && kept=${word%"${word##*=}"}
      [[ $COMP_WORDBREAKS == *:* && ${word#"$kept"} == *:* ]] && kept=${word%"${word##*:}"} ;;
  esac
  if ((left > 0)); then
    _aneval_offer "$pending" "$word" ''
  elif [[ $word == --*=* ]]; then
    _aneval_offer "${word%%=*}" "${word#*=}" "${word%%=*}="
  elif [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$word"))
  else
    COMPREPLY=($(compgen -W "$subcommands" -- "$word"))
    _aneval_offer "@$place" "$word" ''
  fi
  [[ -z $kept ]] || COMPREPLY=("${COMPREPLY[@]#"$kept"}")
}

complete -F _aneval aneval
)~";

constexpr std::string_view kZshDriver = R"~(# _aneval_offer OPTION-OR-@PLACE: what is known there.
_aneval_offer() {
  _aneval_values "$command" "$1"
  [[ $places == *pairs* ]] && compset -P '*;'
  [[ -n $offered ]] && compadd -- ${=offered}
  if [[ $places == *files* ]]; then
    _files
  elif [[ $places == *folders* ]]; then
    _files -/
  fi
}

_aneval() {
  local command='' pending='' left=0 place=1 word i
  local count offered places
  local -a subcommands flags
  _aneval_command ''
  for ((i = 2; i < CURRENT; ++i)); do
    word=${words[i]}
    if ((left > 0)); then
      left=$((left - 1))
    elif [[ $word == -*=* ]]; then
      :
    elif [[ $word == -* ]]; then
      pending=$word
      _aneval_values "$command" "$word"
      left=$count
    elif ((${subcommands[(I)${(b)word}:*]})); then
      command=${command:+$command }$word
      place=1
      _aneval_command "$command"
    else
      place=$((place + 1))
    fi
  done
  if ((left > 0)); then
    _aneval_offer "$pending"
  elif [[ $PREFIX == --*=* ]]; then
    word=${PREFIX%%=*}
    compset -P 1 '*='
    _aneval_offer "$word"
  elif [[ $PREFIX == -* ]]; then
    _describe -o option flags
  else
    ((${#subcommands})) && _describe command subcommands
    _aneval_offer "@$place"
  fi
}

# Called when it was loaded from fpath; registered when it was sourced.
if [[ ${funcstack[1]} == _aneval ]]; then
  _aneval "$@"
else
  compdef _aneval aneval
fi
)~";

/// `name:text` of _describe.
std::string described(const std::string& name, std::string text) {
  std::ranges::replace(text, '\n', ' ');
  return single_quoted(name + ":" + text);
}

}  // namespace

std::string bash_completion(const CommandEntry& root) {
  std::string text =
      "# Completion of aneval in bash, written by `aneval completion bash`: source it, or put it as `aneval` into\n"
      "# ~/.local/share/bash-completion/completions.\n\n"
      "# _aneval_command COMMAND: its commands and options.\n_aneval_command() {\n  case $1 in\n";
  for (const CommandEntry* command : flattened(root))
    text += fmt::format("    {})\n      subcommands={}\n      flags={} ;;\n", single_quoted(command->path),
                        single_quoted(join(command_names(*command), " ")),
                        single_quoted(join(option_names(*command), " ")));
  return text + "  esac\n}\n\n" + values_function(root) + std::string(kBashDriver);
}

std::string zsh_completion(const CommandEntry& root) {
  std::string text =
      "#compdef aneval\n"
      "# Completion of aneval in zsh, written by `aneval completion zsh`: put it as `_aneval` into a folder of fpath, "
      "or\n"
      "# source it after compinit.\n\n"
      "# _aneval_command COMMAND: its commands and options.\n_aneval_command() {\n  case $1 in\n";
  for (const CommandEntry* command : flattened(root)) {
    std::vector<std::string> commands, options;
    for (const CommandEntry& below : command->commands) commands.push_back(described(below.name, below.text));
    for (const OptionEntry& option : command->options)
      for (const std::string& name : option.names) options.push_back(described(name, option.text));
    text += fmt::format("    {})\n      subcommands=({})\n      flags=({}) ;;\n", single_quoted(command->path),
                        join(commands, "\n        "), join(options, "\n        "));
  }
  return text + "  esac\n}\n\n" + values_function(root) + std::string(kZshDriver);
}

const std::vector<CompletionShell>& completion_shells() {
  static const std::vector<CompletionShell> shells = {{"bash", bash_completion}, {"zsh", zsh_completion}};
  return shells;
}

}  // namespace aneval::cli
