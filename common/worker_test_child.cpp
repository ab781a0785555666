// The program that the tests of processes start: it does one thing, named by its first argument.
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "common/files.h"
#include "common/journal.h"
#include "common/worker.h"

namespace {

using Arguments = std::vector<std::string>;

[[noreturn]] void die_of(int signal) {
  ::signal(signal, SIG_DFL);  // a sanitizer would turn it into an exit code
  ::raise(signal);
  std::abort();
}

[[noreturn]] void crash() { die_of(SIGSEGV); }

[[noreturn]] void hang() {
  for (;;) ::sleep(1000);
}

/// Starts a process of its own that holds a lock on `file` and the output pipes until it is killed.
void leave_a_descendant(const std::string& file) {
  const int lock = ::open(file.c_str(), O_RDWR | O_CREAT, 0600);
  ::flock(lock, LOCK_EX);
  if (::fork() == 0) hang();
}

std::string do_task(std::string_view task) {
  const std::string name(task.substr(0, task.find(' ')));
  const std::string rest(task.size() > name.size() ? task.substr(name.size() + 1) : "");
  if (name == "echo") return rest;
  if (name == "pid") return std::to_string(::getpid());
  if (name == "big") return std::string(static_cast<std::size_t>(std::stoll(rest)), 'b');
  if (name == "print") return std::printf("chatter\n"), std::fflush(stdout), rest;
  if (name == "crash") std::cerr << "first\nabout to\tcrash\n", crash();
  if (name == "exit") std::_Exit(std::stoi(rest));
  if (name == "last-words") {
    for (int i = 0; i < 100; ++i) std::cerr << "…";
    std::cerr << std::endl;
    std::_Exit(std::stoi(rest));
  }
  if (name == "hang") hang();
  if (name == "multiline") return "a\nb";
  throw std::runtime_error("unknown task");
}

int run(const Arguments& arguments) {
  const std::string& name = arguments.at(0);
  if (name == "worker") return aneval::serve_tasks(do_task), std::puts("goodbye"), 0;
  if (name == "cat") {
    const std::string input{std::istreambuf_iterator<char>(std::cin), {}};
    return std::cout << input, 0;
  }
  if (name == "spam") {
    const std::string line(999, 's');
    for (int i = 0; i < 1000; ++i) std::cout << line << '\n', std::cerr << line << '\n';
    return 0;
  }
  if (name == "exit") return std::stoi(arguments.at(1));
  if (name == "crash") crash();
  if (name == "signal") die_of(std::stoi(arguments.at(1)));
  if (name == "hang") std::cout << "before" << std::endl, hang();
  if (name == "descendant") return leave_a_descendant(arguments.at(1)), 0;
  if (name == "descendant-hang") leave_a_descendant(arguments.at(1)), hang();
  if (name == "stdout") return aneval::write_file("-", std::string_view("to standard output")), 0;
  if (name == "executable-path") return std::cout << aneval::executable_path(), 0;
  if (name == "journal") {
    aneval::Journal journal(arguments.at(1));
    for (int i = 0;; ++i) {
      journal.append(std::to_string(i));
      std::cout << i << std::endl;
    }
  }
  return 99;
}

}  // namespace

int main(int argc, char** argv) { return run(Arguments(argv + 1, argv + argc)); }
