#include "ane/apple/apple_device.h"

#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "ane/apple/framework.h"
#include "ane/apple/io_surface.h"
#include "ane/apple/model.h"
#include "ane/apple/model_folder.h"
#include "common/error.h"

namespace aneval::apple {
namespace {

using Clock = std::chrono::steady_clock;

/// Runs calls into the framework for a program; what fails becomes an error that says which one it was.
template <class Function>
auto calling(Status status, const char* what, const std::string& label, const Function& function) {
  try {
    return function();
  } catch (const CallError& error) {
    throw ane::DeviceError(status, std::string(what) + " of " + label, error.what(),
                           "`aneval mil check` names known limits; `aneval doctor` tells the state of this machine");
  }
}

class AppleProgram final : public ane::Executable {
 public:
  AppleProgram(const ane::ProgramSource& source, std::string hash, const Framework& framework, unsigned qos)
      : Executable(source, std::move(hash)),
        label_(source.label()),
        model_(framework, qos, source.mil, source.weights) {}
  ~AppleProgram() override {
    if (!folder_) return;
    try {
      const FileLock guard = folder_->guard();
      model_.unload();
    } catch (const CallError&) {
      // The model's own end unloads it: without the guard is better than not at all.
    }
  }
  AppleProgram(const AppleProgram&) = delete;
  AppleProgram& operator=(const AppleProgram&) = delete;

  const std::string& label() const { return label_; }
  Model& model() { return model_; }
  /// Until the program ends.
  void keep(std::shared_ptr<ModelFolder> folder) { folder_ = std::move(folder); }

 private:
  std::string label_;
  std::shared_ptr<ModelFolder> folder_;
  Model model_;
};

class AppleRequest final : public ane::Request {
 public:
  AppleRequest(std::shared_ptr<ane::Executable> executable, std::shared_ptr<ane::Surface> input,
               std::shared_ptr<ane::Surface> output, BoundRequest bound)
      : Request(std::move(executable), std::move(input), std::move(output)), bound_(std::move(bound)) {}

  const BoundRequest& bound() const { return bound_; }
  std::optional<std::int64_t> hardware_nanoseconds() const override { return Model::hardware_time(bound_); }

 private:
  BoundRequest bound_;
};

class AppleDevice final : public ane::Device {
 public:
  explicit AppleDevice(const AppleOptions& options)
      : Device(options.compile_limit), options_(options), framework_(framework_path(options)) {
    info_.backend = framework_.stand_in() ? "apple-standin" : "apple";
    info_.chip = options.chip;
    info_.family = framework_.family();
  }

  const ane::DeviceInfo& info() const override { return info_; }

 protected:
  std::shared_ptr<ane::Surface> do_create_surface(std::size_t bytes) override {
    const AutoreleasePool pool;
    return std::make_shared<IoSurface>(bytes);
  }

  std::shared_ptr<ane::Executable> do_compile(const ane::ProgramSource& source, std::string hash) override {
    const std::lock_guard lock(mutex_);
    std::this_thread::sleep_until(next_compile_);
    try {
      return compile(source, std::move(hash));
    } catch (...) {
      if (!framework_.stand_in()) next_compile_ = Clock::now() + options_.pause_after_failure;
      throw;
    }
  }

  void do_load(ane::Executable& executable) override {
    AppleProgram& program = as_program(executable);
    calling(Status::run_error, "load", program.label(), [&] { program.model().load(options_.hardware_time); });
  }

  std::shared_ptr<ane::Request> do_make_request(std::shared_ptr<ane::Executable> executable,
                                                std::shared_ptr<ane::Surface> input,
                                                std::shared_ptr<ane::Surface> output) override {
    AppleProgram& program = as_program(*executable);
    BoundRequest bound = calling(Status::run_error, "request", program.label(),
                                 [&] { return program.model().bind(io_surface(*input), io_surface(*output)); });
    return std::make_shared<AppleRequest>(std::move(executable), std::move(input), std::move(output), std::move(bound));
  }

  void do_evaluate(ane::Request& request) override {
    AppleProgram& program = as_program(*request.executable());
    calling(Status::run_error, "evaluation", program.label(),
            [&] { program.model().evaluate(dynamic_cast<AppleRequest&>(request).bound()); });
  }

 private:
  std::shared_ptr<ane::Executable> compile(const ane::ProgramSource& source, std::string hash) {
    return calling(Status::compile_error, "compile", source.label(), [&] {
      auto program = std::make_shared<AppleProgram>(source, std::move(hash), framework_, options_.qos);
      const auto files = folder(program->model().identifier());
      program->keep(files);
      const FileLock guard = files->guard();  // let go before a program that failed, which wants it as well
      files->write(source.mil, source.weights);
      if (options_.fresh_compiles) program->model().purge();
      program->model().compile();
      return program;
    });
  }

  /// One for the equal programs of this process: it goes with the last of them.
  std::shared_ptr<ModelFolder> folder(const std::string& identifier) {
    std::weak_ptr<ModelFolder>& known = folders_[identifier];
    if (auto existing = known.lock()) return existing;
    auto made = std::make_shared<ModelFolder>(std::filesystem::path(temporary_folder()) / identifier);
    known = made;
    return made;
  }

  static AppleProgram& as_program(ane::Executable& executable) { return dynamic_cast<AppleProgram&>(executable); }
  static IOSurfaceRef io_surface(ane::Surface& surface) { return dynamic_cast<IoSurface&>(surface).get(); }

  const AppleOptions options_;
  const Framework framework_;
  ane::DeviceInfo info_;
  std::mutex mutex_;  // compiles one after the other: the folders, the pause
  std::map<std::string, std::weak_ptr<ModelFolder>> folders_;
  Clock::time_point next_compile_{};
};

}  // namespace

std::string framework_path(const AppleOptions& options) {
  if (!options.framework.empty()) return options.framework;
  const char* const chosen = std::getenv("ANEVAL_ANE_FRAMEWORK");
  return chosen != nullptr && *chosen != '\0' ? chosen : kAppleFramework;
}

std::unique_ptr<ane::Device> make_apple_device(const AppleOptions& options) {
  return std::make_unique<AppleDevice>(options);
}

}  // namespace aneval::apple
