// What any backend offers: information, surfaces, compiled programs, requests that bind a program to surfaces, and
// counters. A backend implements the protected do_* functions; what is the same for all (counting, the compile limit,
// the order compile -> load -> evaluate) is done once, here.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ane/surface.h"
#include "ane/weight_blob.h"
#include "common/error.h"
#include "common/record.h"

namespace aneval::ane {

struct DeviceInfo {
  std::string backend;  // "emulator", "apple", "apple-standin"
  std::string chip;     // the machine's own chip or CPU, also for the emulator
  std::string family;   // "h16" on hardware; empty on the emulator
  std::string profile;  // numerics profile; empty on hardware
};

/// What a device refused to do: a result of the kernel, with the status that its row gets (exit code 3).
class DeviceError : public Error {
 public:
  DeviceError(Status status, std::string subject, std::string reason, std::string remedy)
      : Error(ExitCode::refused, std::move(subject), std::move(reason), std::move(remedy)), status_(status) {}
  Status status() const { return status_; }

 private:
  Status status_;
};

/// The status of a row that an error ends: the device's own, wrong_result for a check that did not hold, else
/// `otherwise`.
Status status_of(const Error& error, Status otherwise = Status::run_error);

/// What a program is made from. `name` and `shape` appear in errors only.
struct ProgramSource {
  std::string name;
  std::string mil;
  WeightFiles weights;
  std::size_t input_bytes = 0, output_bytes = 0;
  std::string shape = {};  // "Qwen3-0.6B, S 256"

  /// "sdpaFwd (Qwen3-0.6B, S 256)".
  std::string label() const { return shape.empty() ? name : name + " (" + shape + ")"; }
};

/// Told of the calls into a backend that may never return: compiles on virtual machines hang for half an hour, and some
/// evaluations do as well. Called by the thread that makes the call.
class CallObserver {
 public:
  virtual ~CallObserver() = default;
  /// `call` is "compile", "load" or "eval", a literal; `program` its label.
  virtual void begins(std::string_view call, const std::string& program) = 0;
  virtual void ended() = 0;
};

/// Counts since the device was made. Attempts include failures, because a failed compile uses up Apple's budget too.
struct DeviceCounters {
  std::int64_t compile_attempts = 0, compile_failures = 0;
  std::int64_t loads = 0, evaluations = 0;
  std::int64_t surfaces = 0, surface_bytes = 0;
};

/// A compiled program. Destroying it unloads it.
class Executable {
 public:
  virtual ~Executable() = default;
  const std::string& name() const { return name_; }
  const std::string& program_hash() const { return program_hash_; }
  std::size_t input_bytes() const { return input_bytes_; }
  std::size_t output_bytes() const { return output_bytes_; }

 protected:
  Executable(const ProgramSource& source, std::string program_hash)
      : name_(source.name),
        program_hash_(std::move(program_hash)),
        input_bytes_(source.input_bytes),
        output_bytes_(source.output_bytes) {}

 private:
  friend class Device;
  std::string name_, program_hash_;
  std::size_t input_bytes_, output_bytes_;
  bool loaded_ = false;
};

/// One program bound to one input and one output surface. Keeps all three alive. A layer has its own requests on its
/// own surfaces while all layers share the program, which is why nothing recompiles.
class Request {
 public:
  virtual ~Request() = default;
  const std::shared_ptr<Surface>& input() const { return input_; }
  const std::shared_ptr<Surface>& output() const { return output_; }
  const std::shared_ptr<Executable>& executable() const { return executable_; }
  /// What the engine's own clock says of the last evaluation; nothing where there is no such clock.
  virtual std::optional<std::int64_t> hardware_nanoseconds() const { return std::nullopt; }

 protected:
  Request(std::shared_ptr<Executable> executable, std::shared_ptr<Surface> input, std::shared_ptr<Surface> output)
      : executable_(std::move(executable)), input_(std::move(input)), output_(std::move(output)) {}

 private:
  std::shared_ptr<Executable> executable_;
  std::shared_ptr<Surface> input_, output_;
};

class Device {
 public:
  virtual ~Device() = default;
  virtual const DeviceInfo& info() const = 0;

  /// Zeroed memory of that many bytes.
  std::shared_ptr<Surface> create_surface(std::size_t bytes);
  /// Errors carry the kernel's name and the backend's own text. Beyond the compile limit: a refusal (exit code 3)
  /// before the backend is asked, because on Apple the 120th compile of a process fails silently.
  std::shared_ptr<Executable> compile(const ProgramSource& source);
  void load(Executable& executable);
  /// Errors: surfaces smaller than the program's input or output.
  std::shared_ptr<Request> make_request(std::shared_ptr<Executable> executable, std::shared_ptr<Surface> input,
                                        std::shared_ptr<Surface> output);
  /// Synchronous. Throws when the engine says it failed; what it wrote is the caller's to check (see poison()).
  void evaluate(Request& request);

  DeviceCounters counters() const;
  std::optional<std::int64_t> compile_limit() const { return compile_limit_; }
  /// Not owned; null for nobody. Before the first call.
  void observe(CallObserver* observer) { observer_ = observer; }

 protected:
  explicit Device(std::optional<std::int64_t> compile_limit) : compile_limit_(compile_limit) {}

  virtual std::shared_ptr<Surface> do_create_surface(std::size_t bytes) = 0;
  virtual std::shared_ptr<Executable> do_compile(const ProgramSource& source, std::string program_hash) = 0;
  virtual void do_load(Executable& executable) = 0;
  virtual std::shared_ptr<Request> do_make_request(std::shared_ptr<Executable> executable,
                                                   std::shared_ptr<Surface> input, std::shared_ptr<Surface> output) = 0;
  virtual void do_evaluate(Request& request) = 0;

 private:
  std::optional<std::int64_t> compile_limit_;
  CallObserver* observer_ = nullptr;
  std::atomic<std::int64_t> compile_attempts_{0}, compile_failures_{0}, loads_{0}, evaluations_{0}, surfaces_{0},
      surface_bytes_{0};
};

/// Identifies a program by its text and its weights: 16 hexadecimal digits.
std::string program_hash(std::string_view mil, const WeightFiles& weights);

}  // namespace aneval::ane
