// SIGINT and SIGTERM: long commands finish the case at hand, write what they have and end with 128 + signal.
#pragma once

namespace aneval::cli {

/// Takes both signals over. A second one of the same kind ends the process at once.
void watch_interrupts();

/// 0, or the signal that came.
int interrupted();

}  // namespace aneval::cli
