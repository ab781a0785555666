// What the program asks of the process it starts in: descriptors that are open, and output that arrives.
#pragma once

namespace aneval::cli {

/// Opens /dev/null in the place of standard streams that are closed: the first file would get their number, and
/// messages would be written into it. And has a write beyond `ulimit -f` fail with an error instead of killing the
/// process.
void prepare_standard_streams();

/// Errors: what was printed could not be written, to a full disk for example.
void flush_standard_output();

}  // namespace aneval::cli
