#include "cli/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <iostream>

#include "common/error.h"
#include "common/posix.h"

namespace aneval::cli {

void prepare_standard_streams() {
  std::signal(SIGXFSZ, SIG_IGN);
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
    // The lowest free number is the one that is missing: those below are open.
    if (::open("/dev/null", descriptor == STDIN_FILENO ? O_RDONLY : O_WRONLY) == -1)
      throw refusal("/dev/null", "cannot open: " + errno_text(), "start aneval with its standard streams open");
  }
}

void flush_standard_output() {
  std::cout.flush();
  // An earlier write may have failed: errno tells of the last, if that one failed.
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && std::cout.good()) return;
  throw refusal("standard output",
                "cannot write: " + (errno != 0 ? errno_text() : std::string("an earlier write failed")),
                "free space where it goes");
}

}  // namespace aneval::cli
