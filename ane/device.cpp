#include "ane/device.h"

#include <fmt/format.h>

#include "common/error.h"
#include "common/hash.h"

namespace aneval::ane {

namespace {

/// For the time of one call.
class Observed {
 public:
  Observed(CallObserver* observer, std::string_view call, const std::string& program) : observer_(observer) {
    if (observer_ != nullptr) observer_->begins(call, program);
  }
  ~Observed() {
    if (observer_ != nullptr) observer_->ended();
  }
  Observed(const Observed&) = delete;
  Observed& operator=(const Observed&) = delete;

 private:
  CallObserver* observer_;
};

}  // namespace

Status status_of(const Error& error, Status otherwise) {
  if (const auto* device = dynamic_cast<const DeviceError*>(&error)) return device->status();
  return error.code() == ExitCode::check_failed ? Status::wrong_result : otherwise;
}

std::shared_ptr<Surface> Device::create_surface(std::size_t bytes) {
  auto surface = do_create_surface(bytes);
  ++surfaces_;
  surface_bytes_ += static_cast<std::int64_t>(bytes);
  return surface;
}

std::shared_ptr<Executable> Device::compile(const ProgramSource& source) {
  if (compile_limit_ && compile_attempts_ >= *compile_limit_)
    throw refusal("compile of " + source.name,
                  "this process has used its " + std::to_string(*compile_limit_) + " compiles",
                  "continue in a new process (--isolate), or raise --compile-limit");
  ++compile_attempts_;
  const Observed call(observer_, "compile", source.label());
  try {
    return do_compile(source, program_hash(source.mil, source.weights));
  } catch (...) {
    ++compile_failures_;
    throw;
  }
}

void Device::load(Executable& executable) {
  const Observed call(observer_, "load", executable.name());
  do_load(executable);
  executable.loaded_ = true;
  ++loads_;
}

std::shared_ptr<Request> Device::make_request(std::shared_ptr<Executable> executable, std::shared_ptr<Surface> input,
                                              std::shared_ptr<Surface> output) {
  const auto check = [&](const char* side, const Surface& surface, std::size_t needed) {
    if (surface.bytes() < needed)
      throw input_error("request of " + executable->name(),
                        fmt::format("its {} surface has {} bytes, the program needs {}", side, surface.bytes(), needed),
                        "create the surface with the layout's bytes");
  };
  check("input", *input, executable->input_bytes());
  check("output", *output, executable->output_bytes());
  return do_make_request(std::move(executable), std::move(input), std::move(output));
}

void Device::evaluate(Request& request) {
  if (!request.executable()->loaded_) throw std::logic_error(request.executable()->name() + " evaluated before load");
  ++evaluations_;
  const Observed call(observer_, "eval", request.executable()->name());
  do_evaluate(request);
}

DeviceCounters Device::counters() const {
  DeviceCounters counters;
  counters.compile_attempts = compile_attempts_;
  counters.compile_failures = compile_failures_;
  counters.loads = loads_;
  counters.evaluations = evaluations_;
  counters.surfaces = surfaces_;
  counters.surface_bytes = surface_bytes_;
  return counters;
}

std::string program_hash(std::string_view mil, const WeightFiles& weights) {
  Hasher hasher;
  hasher.add(mil.data(), mil.size());
  for (const auto& [path, bytes] : weights) {
    hasher.add(path.data(), path.size());
    hasher.add(bytes.data(), bytes.size());
  }
  return hasher.digest();
}

}  // namespace aneval::ane
