#include "cli/interrupt.h"

#include <csignal>

namespace aneval::cli {
namespace {

// The one thing that has to be global: a signal handler has no other way to say anything.
volatile std::sig_atomic_t g_signal = 0;

extern "C" void note_signal(int signal) {
  g_signal = signal;
  std::signal(signal, SIG_DFL);
}

}  // namespace

void watch_interrupts() {
  std::signal(SIGINT, note_signal);
  std::signal(SIGTERM, note_signal);
}

int interrupted() { return g_signal; }

}  // namespace aneval::cli
