// For builds with AddressSanitizer, in every program over the stand-in: what GCC's Objective-C runtime allocates for
// names of classes and methods is its own to keep. Objects are made without it (object.cpp), so their leaks still
// count.

extern "C" const char* __lsan_default_suppressions(void);
extern "C" const char* __lsan_default_options(void);
const char* __lsan_default_suppressions(void) { return "leak:libobjc.so"; }
/// A list of what was suppressed is no part of what a command says.
const char* __lsan_default_options(void) { return "print_suppressions=0"; }
