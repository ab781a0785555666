// SIGINT and SIGTERM: long commands finish the case at hand, write what they have and end with 128 + signal.
#pragma once

namespace aneval::cli {

/// Takes both signals over, also those that were held. A second one of the same kind ends the process at once.
void watch_interrupts();

/// From now on both wait, also while this program starts another in its place, until somebody watches them again. For a
/// process with one thread.
void hold_interrupts();

/// 0, or the signal that came.
int interrupted();

}  // namespace aneval::cli
