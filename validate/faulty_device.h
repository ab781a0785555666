// A device for tests that does something wrong on purpose: it passes everything to another device and then spoils the
// output, or does not evaluate at all.
#pragma once

#include <functional>
#include <memory>

#include "ane/device.h"

namespace aneval::validate {

class FaultyDevice final : public ane::Device {
 public:
  /// Called after each evaluation with its number (from 0) and the output.
  using Fault = std::function<void(std::int64_t evaluation, std::span<ane::half_t> output)>;

  FaultyDevice(std::unique_ptr<ane::Device> inner, Fault fault, bool skip_evaluation = false)
      : Device(std::nullopt), inner_(std::move(inner)), fault_(std::move(fault)), skip_(skip_evaluation) {}

  const ane::DeviceInfo& info() const override { return inner_->info(); }

 protected:
  std::shared_ptr<ane::Surface> do_create_surface(std::size_t bytes) override { return inner_->create_surface(bytes); }
  std::shared_ptr<ane::Executable> do_compile(const ane::ProgramSource& source, std::string) override {
    return inner_->compile(source);
  }
  void do_load(ane::Executable& executable) override { inner_->load(executable); }
  std::shared_ptr<ane::Request> do_make_request(std::shared_ptr<ane::Executable> executable,
                                                std::shared_ptr<ane::Surface> input,
                                                std::shared_ptr<ane::Surface> output) override {
    return inner_->make_request(std::move(executable), std::move(input), std::move(output));
  }
  void do_evaluate(ane::Request& request) override {
    if (!skip_) inner_->evaluate(request);
    if (fault_) fault_(evaluation_, ane::WriteLock(*request.output()).halves());
    ++evaluation_;
  }

 private:
  std::unique_ptr<ane::Device> inner_;
  Fault fault_;
  bool skip_;
  std::int64_t evaluation_ = 0;
};

}  // namespace aneval::validate
