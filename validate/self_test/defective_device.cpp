#include "validate/self_test/defective_device.h"

#include <algorithm>
#include <bit>
#include <stdexcept>

#include "ane/emulator/half_values.h"
#include "ane/mil/text.h"
#include "validate/self_test/faulty_arithmetic.h"

namespace aneval::validate {
namespace {

/// Runs a program under an arithmetic fault.
class FaultyProgram {
 public:
  FaultyProgram(const ane::ProgramSource& source, const emulator::Profile& profile, const ArithmeticFault& fault)
      : specials_(profile.specials),
        evaluator_(std::make_shared<const emulator::Plan>(
                       emulator::make_plan(mil::parse(source.mil, source.name), source.weights, profile.slice_gain)),
                   FaultyDeviceArithmetic(emulator::DeviceArithmetic(profile), DeviceSum(profile), fault, true),
                   nullptr) {}

  void evaluate(std::span<const ane::half_t> input, std::span<ane::half_t> output) {
    const auto in = evaluator_.input(0);
    emulator::decode_halves(specials_, input.data(), in.data(), static_cast<std::int64_t>(in.size()));
    evaluator_.run();
    const auto out = evaluator_.output(0);
    emulator::encode_halves(specials_, out.data(), output.data(), static_cast<std::int64_t>(out.size()));
  }

 private:
  emulator::Specials specials_;
  emulator::Evaluator<FaultyDeviceArithmetic> evaluator_;
};

/// Holds the healthy device's request, which reads the device's own copy of the input.
class DefectiveRequest final : public ane::Request {
 public:
  DefectiveRequest(std::shared_ptr<ane::Executable> executable, std::shared_ptr<ane::Surface> input,
                   std::shared_ptr<ane::Surface> output, std::shared_ptr<ane::Request> own)
      : Request(std::move(executable), std::move(input), std::move(output)), inner(std::move(own)) {}

  std::shared_ptr<ane::Request> inner;
};

class DefectiveDevice final : public ane::Device {
 public:
  DefectiveDevice(ane::Device& healthy, const emulator::Profile& profile, const Defect& defect, DefectSite site)
      : Device(std::nullopt), healthy_(healthy), profile_(profile), defect_(defect), site_(std::move(site)) {}

  const ane::DeviceInfo& info() const override { return healthy_.info(); }

 protected:
  std::shared_ptr<ane::Surface> do_create_surface(std::size_t bytes) override { return healthy_.create_surface(bytes); }

  std::shared_ptr<ane::Executable> do_compile(const ane::ProgramSource& source, std::string) override {
    if (defect_.mechanism == Mechanism::arithmetic)
      faulty_ = std::make_unique<FaultyProgram>(source, profile_, defect_.arithmetic);
    if (!defect_.program) return healthy_.compile(source);
    mil::BuiltProgram other = defect_.program(site_);
    return healthy_.compile(
        {source.name, std::move(other.text), std::move(other.weights), source.input_bytes, source.output_bytes});
  }

  void do_load(ane::Executable& executable) override { healthy_.load(executable); }

  std::shared_ptr<ane::Request> do_make_request(std::shared_ptr<ane::Executable> executable,
                                                std::shared_ptr<ane::Surface> input,
                                                std::shared_ptr<ane::Surface> output) override {
    auto inner = healthy_.make_request(executable, healthy_.create_surface(input->bytes()), output);
    return std::make_shared<DefectiveRequest>(std::move(executable), std::move(input), std::move(output),
                                              std::move(inner));
  }

  void do_evaluate(ane::Request& outer) override {
    ane::Request& request = *dynamic_cast<DefectiveRequest&>(outer).inner;
    {
      const ane::ReadLock given(*outer.input());
      const ane::WriteLock own(*request.input());
      std::copy(given.halves().begin(), given.halves().end(), own.halves().begin());
      if (defect_.input) defect_.input(site_, own.halves());
    }
    if (defect_.evaluation != EvaluationFault::skipped) {
      if (faulty_)
        faulty_->evaluate(ane::ReadLock(*request.input()).halves(), ane::WriteLock(*request.output()).halves());
      else
        healthy_.evaluate(request);
    }
    const ane::WriteLock lock(*request.output());
    if (defect_.evaluation == EvaluationFault::previous) {
      std::vector<ane::half_t> now(lock.halves().begin(), lock.halves().end());
      previous_.resize(now.size(), 0x3C00);  // something else before the first
      std::copy(previous_.begin(), previous_.end(), lock.halves().begin());
      previous_ = std::move(now);
    }
    if (defect_.output) spoil(lock.halves());
    ++evaluation_;
  }

 private:
  /// Elements that the fault leaves alone keep their bits.
  void spoil(std::span<ane::half_t> output) {
    std::vector<double> before(output.size());
    std::transform(output.begin(), output.end(), before.begin(),
                   [](ane::half_t bits) { return static_cast<double>(ane::to_float(bits)); });
    std::vector<double> after = before;
    defect_.output(site_, evaluation_, after);
    for (std::size_t i = 0; i < after.size(); ++i)
      if (std::bit_cast<std::uint64_t>(after[i]) != std::bit_cast<std::uint64_t>(before[i]))
        output[i] = ane::to_half(after[i]);
  }

  ane::Device& healthy_;
  const emulator::Profile& profile_;
  const Defect& defect_;
  DefectSite site_;
  std::unique_ptr<FaultyProgram> faulty_;
  std::vector<ane::half_t> previous_;
  std::int64_t evaluation_ = 0;
};

}  // namespace

std::unique_ptr<ane::Device> make_defective_device(ane::Device& healthy, const emulator::Profile& profile,
                                                   const Defect& defect, const DefectSite& site) {
  if (defect.mechanism == Mechanism::host) throw std::logic_error("a defect of the host is no device's");
  return std::make_unique<DefectiveDevice>(healthy, profile, defect, site);
}

}  // namespace aneval::validate
