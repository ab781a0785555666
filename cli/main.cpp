// aneval: one binary, one file per command. Errors end here: `aneval: <what>: <why>: <what to do>` on standard error
// and the exit code that the error carries.
#include <cstdio>
#include <exception>
#include <new>

#include "cli/command.h"
#include "cli/fresh_process.h"
#include "cli/standard_streams.h"
#include "common/error.h"
#include "reference/blas.h"

namespace {

int run(int argc, char** argv) {
  using namespace aneval::cli;
  CLI::App app(
      "Benchmarks and validates the kernels that train transformers on Apple's Neural Engine.\n"
      "Not affiliated with Apple. Numbers of the emulator are never hardware numbers.");
  app.name("aneval");
  app.set_version_flag("--version", aneval::version_text());
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::simple);
  app.footer(
      "Exit codes: 0 ok, 1 a check failed, 2 wrong arguments or input, 3 refused by device or environment; of compare "
      "also 4 and 5.");
  Action action;
  for (const auto add : {add_doctor, add_list, add_validate, add_bench, add_train, add_probe, add_sweep, add_tune,
                         add_report, add_compare, add_run, add_stage, add_mil, add_completion, add_man, add_worker})
    add(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {  // --help, --version
    return app.exit(done);
  } catch (const CLI::ParseError& error) {
    throw aneval::input_error("arguments", error.what(), "see `aneval --help` or `aneval COMMAND --help`");
  }
  const int code = action ? action() : 0;
  return code == kGoOnInFreshProcess ? go_on_in_fresh_process(argc, argv) : code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    aneval::cli::prepare_standard_streams();
    aneval::reference::keep_blas_on_one_thread();
    const int code = run(argc, argv);
    aneval::cli::flush_standard_output();
    return code;
  } catch (const aneval::Error& error) {
    aneval::cli::progress("");
    std::fprintf(stderr, "aneval: %s\n", error.what());
    return static_cast<int>(error.code());
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr,
                 "aneval: memory: this machine has not enough for the shape: choose a smaller model or --seq\n");
    return static_cast<int>(aneval::ExitCode::refused);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "aneval: internal error: %s: please report it with the command line\n", error.what());
    return static_cast<int>(aneval::ExitCode::refused);
  }
}
