#include "cli/self_test.h"

#include <fmt/format.h>

#include <cstdio>
#include <mutex>

#include "common/error.h"
#include "common/result_file.h"
#include "validate/self_test/self_test.h"

namespace aneval::cli {

int self_test_command(const DeviceOptions& device, bool full, const std::string& filter, const std::string& out) {
  // What is healthy must be known to be so: the devices are emulators, whatever this machine has.
  DeviceOptions emulated = device;
  if (emulated.backend == "auto") emulated.backend = "emulator";
  if (emulated.backend != "emulator")
    throw input_error("--backend " + device.backend, "the self-test commits defects on the emulator",
                      "leave --backend out");
  check_result_file(out);
  Session session = open_session(emulated);
  auto plan = validate::SelfTestPlan::make(session.profile.name, full, emulated.seed);
  plan.keep(filter);
  const auto planned = static_cast<std::int64_t>(plan.defective.size() + plan.healthy.size());
  if (planned == 0) throw input_error("--filter " + filter, "fits none of the self-test's cases", "leave it out");
  ResultFile results({.file = out,
                      .run = session.run,
                      .command = "validate --self-test",
                      .planned = planned,
                      .threads = session.pool->threads(),
                      .about = profile_rows(session)});
  validate::SelfTestOptions options;
  options.pool = session.pool.get();
  std::mutex mutex;
  options.progress = [&](std::int64_t done, std::int64_t all) {
    const std::lock_guard<std::mutex> lock(mutex);
    progress(fmt::format("self-test: {} of {} cases", done, all));
  };
  const validate::SelfTestResult result = validate::run_self_test(plan, options);
  progress("");
  fmt::print("{}", validate::self_test_text(result));
  std::fflush(stdout);
  results.append(validate::self_test_rows(session.run, result), planned);
  results.close();
  return static_cast<int>(result.passed() ? ExitCode::ok : ExitCode::check_failed);
}

}  // namespace aneval::cli
