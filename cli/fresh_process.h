// A command that goes on in a fresh process: Apple's compiler refuses after about 119 compiles per process, and what a
// process has used up only its end gives back.
//
// The process replaces itself (exec) instead of starting a child: it keeps its number, its terminal and whoever waits
// for it, signals need no forwarding, and nothing of it stays in memory meanwhile.
#pragma once

namespace aneval::cli {

/// Starts the program anew with the same arguments and --resume, in this process' place; the caller holds no thread and
/// no open result file any more. SIGINT and SIGTERM that come meanwhile reach the new program once it watches them
/// (watch_interrupts). Returns only when one came before: 128 + signal. Throws a refusal when the program cannot be
/// started.
int go_on_in_fresh_process(int argc, char** argv);

}  // namespace aneval::cli
