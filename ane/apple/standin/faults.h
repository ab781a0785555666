// Faults that the stand-in commits when it is asked to, so that every way in which the framework can fail is tried:
// "SELECTOR=KIND" or "SELECTOR=KIND@N" (at the N-th call, from 1, only), several joined by ';'.
#pragma once

#include <string_view>

namespace aneval::standin {

enum class Fault {
  none,
  fail,       // says no, with an error object
  silent,     // says no, without one
  no_object,  // "nil": makes no object
  raise,      // throws an Objective-C exception
  hang,       // never returns
  nothing,    // says yes and does nothing
  missing,    // the method, or the class, is not there; only from the environment, read when the library is opened
};

/// From ANEVAL_STANDIN_FAULTS at first, then what set_faults was given last. Unknown text ends the process.
void set_faults(std::string_view text);

/// Counts a call of the selector and says what it has to do. Hangs and raises by itself.
Fault next_fault(std::string_view selector);

/// Whether a class or a method is to be missing.
bool is_missing(std::string_view name);

}  // namespace aneval::standin
