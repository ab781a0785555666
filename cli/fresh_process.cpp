#include "cli/fresh_process.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "cli/interrupt.h"
#include "common/error.h"
#include "common/worker.h"

namespace aneval::cli {

int go_on_in_fresh_process(int argc, char** argv) {
  hold_interrupts();
  if (interrupted() != 0) {
    std::fputs("INTERRUPTED: --resume goes on from the last step\n", stderr);
    return 128 + interrupted();
  }
  std::vector<std::string> arguments(argv, argv + argc);
  if (std::ranges::find(arguments, "--resume") == arguments.end()) arguments.emplace_back("--resume");
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  std::fflush(nullptr);
  const std::string program = executable_path();
  execv(program.c_str(), pointers.data());
  throw refusal("fresh process", std::string("cannot be started: ") + std::strerror(errno),
                "give the same command with --resume");
}

}  // namespace aneval::cli
