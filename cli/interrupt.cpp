#include "cli/interrupt.h"

#include <signal.h>

#include <csignal>

namespace aneval::cli {
namespace {

// The one thing that has to be global: a signal handler has no other way to say anything.
volatile std::sig_atomic_t g_signal = 0;

extern "C" void note_signal(int signal) {
  g_signal = signal;
  std::signal(signal, SIG_DFL);
}

sigset_t both_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

void watch_interrupts() {
  std::signal(SIGINT, note_signal);
  std::signal(SIGTERM, note_signal);
  const sigset_t set = both_signals();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void hold_interrupts() {
  const sigset_t set = both_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

int interrupted() { return g_signal; }

}  // namespace aneval::cli
