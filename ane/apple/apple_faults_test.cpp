// Every way in which a call into the framework can fail: one error that names kernel, shape, selector and the
// framework's text, and nothing left behind (the fixture counts objects and folders).
#include <gmock/gmock.h>

#include "ane/apple/test_support.h"
#include "ane/compiled_kernel.h"
#include "common/error.h"

namespace aneval::apple {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct FaultCase {
  std::string name, faults;
  Status status;
  std::vector<std::string> message;  // all of these
};

void PrintTo(const FaultCase& c, std::ostream* out) { *out << c.faults; }

class AppleFaults : public OverStandIn, public ::testing::WithParamInterface<FaultCase> {};

TEST_P(AppleFaults, IsOneErrorAndLeavesNothingBehind) {
  const FaultCase& c = GetParam();
  set_faults(c.faults.c_str());
  try {
    const auto request = ready(doubling());
    device_->evaluate(*request);
    FAIL() << "nothing failed";
  } catch (const ane::DeviceError& error) {
    EXPECT_EQ(error.status(), c.status);
    EXPECT_EQ(error.code(), ExitCode::refused);
    EXPECT_THAT(error.what(), HasSubstr("double (64 channels, S 64)"));
    for (const std::string& part : c.message) EXPECT_THAT(error.what(), HasSubstr(part));
  }
  // The process goes on: the next program works.
  set_faults("");
  const auto request = ready(doubling());
  write(request->input(), 0, 1);
  device_->evaluate(*request);
  EXPECT_EQ(read(request->output(), 0), 2.0F);
}

constexpr const char* kDescribe = "modelWithMILText:weights:optionsPlist:";
constexpr const char* kModel = "inMemoryModelWithDescriptor:";
constexpr const char* kIdentify = "hexStringIdentifier";
constexpr const char* kCompile = "compileWithQoS:options:error:";
constexpr const char* kLoad = "loadWithQoS:options:error:";
constexpr const char* kWrap = "objectWithIOSurface:";
constexpr const char* kRequest =
    "requestWithInputs:inputIndices:outputs:outputIndices:weightsBuffer:perfStats:procedureIndex:";
constexpr const char* kEvaluate = "evaluateWithQoS:options:request:error:";

std::vector<FaultCase> fault_cases() {
  std::vector<FaultCase> cases;
  const auto add = [&](const std::string& name, const char* selector, const char* kind, Status status,
                       const std::string& text) {
    cases.push_back({name, std::string(selector) + "=" + kind, status, {selector, text}});
  };
  const auto maker = [&](const std::string& name, const char* selector, Status status, const std::string& nil) {
    add(name + "Nil", selector, "nil", status, nil);
    add(name + "Raises", selector, "raise", status, "Objective-C exception");
  };
  const auto answer = [&](const std::string& name, const char* selector, Status status) {
    add(name + "Fails", selector, "fail", status, "a fault that was asked for (com.apple.appleneuralengine 8)");
    add(name + "FailsSilently", selector, "silent", status, "no error object");
    add(name + "Raises", selector, "raise", status, "Objective-C exception");
  };
  maker("Descriptor", kDescribe, Status::compile_error, "no descriptor");
  maker("Model", kModel, Status::compile_error, "no model");
  maker("Identifier", kIdentify, Status::compile_error, "no identifier");
  answer("Compile", kCompile, Status::compile_error);
  answer("Load", kLoad, Status::run_error);
  maker("Surface", kWrap, Status::run_error, "no object");
  maker("Request", kRequest, Status::run_error, "no request");
  answer("Evaluate", kEvaluate, Status::run_error);
  // Says yes, and the next call finds out.
  cases.push_back({"CompileDoesNothing", std::string(kCompile) + "=nothing", Status::run_error, {kLoad, "0x20004"}});
  cases.push_back({"LoadDoesNothing", std::string(kLoad) + "=nothing", Status::run_error, {kEvaluate, "not loaded"}});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Selectors, AppleFaults, ::testing::ValuesIn(fault_cases()),
                         [](const auto& of) { return of.param.name; });

class AppleLimits : public OverStandIn {};

TEST_F(AppleLimits, AnEvaluationThatDoesNothingIsFoundByItsPoison) {
  const auto request = ready(doubling());
  ane::evaluate_poisoned(*device_, *request, ane::kPoison[0]);
  set_faults((std::string(kEvaluate) + "=nothing").c_str());
  EXPECT_THROW(ane::evaluate_poisoned(*device_, *request, ane::kPoison[1]), Error);
}

TEST_F(AppleLimits, TextThatIsNoProgramHasTheCompilersWords) {
  ane::ProgramSource broken = doubling("broken");
  broken.mil = "garbage";
  try {
    (void)device_->compile(broken);
    FAIL() << "compiled garbage";
  } catch (const ane::DeviceError& error) {
    EXPECT_EQ(error.status(), Status::compile_error);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("broken"), HasSubstr("ANECCompile() FAILED")));
  }
  broken.mil = "";
  EXPECT_THROW((void)device_->compile(broken), ane::DeviceError);
  EXPECT_EQ(device_->counters().compile_failures, 2);
}

TEST_F(AppleLimits, AMissingWeightFileHasTheCompilersWords) {
  ane::ProgramSource source = doubling();
  source.mil = program_text(
      "tensor<fp16, [1, 64, 1, 64]> w = const()[name = string(\"w\"), val = tensor<fp16, [1, 64, 1, 64]>(BLOBFILE("
      "path = string(\"@model_path/weights/w.bin\"), offset = uint64(64)))];\n"
      "tensor<fp16, [1, 64, 1, 64]> y = add(x = x, y = w)[name = string(\"y\")];\n");
  try {
    (void)device_->compile(source);
    FAIL() << "compiled without its weights";
  } catch (const ane::DeviceError& error) {
    EXPECT_THAT(error.what(), HasSubstr("weights/w.bin"));
  }
  std::vector<ane::half_t> ones(4096, ane::to_half(1.0F));
  ane::BlobWriter blob;
  blob.add(std::span<const ane::half_t>(ones));
  source.weights["@model_path/weights/w.bin"] = blob.finish();
  const auto request = ready(source);
  device_->evaluate(*request);
  EXPECT_EQ(read(request->output(), 9), 1.0F);
}

TEST_F(AppleLimits, SurfacesTooSmallAreRefusedBeforeTheFrameworkSeesThem) {
  auto executable = device_->compile(doubling());
  device_->load(*executable);
  EXPECT_THROW((void)device_->make_request(executable, device_->create_surface(64), device_->create_surface(8192)),
               Error);
  // The framework's own view, when the layout is wrong about the program: 40960 bytes, one page is 16384.
  ane::ProgramSource wrong = doubling("larger");
  wrong.mil = program_text("tensor<fp16, [1, 320, 1, 64]> y = add(x = x, y = x)[name = string(\"y\")];\n",
                           "tensor<fp16, [1, 320, 1, 64]> x");
  const auto request = ready(wrong);
  try {
    device_->evaluate(*request);
    FAIL() << "ran beyond its surface";
  } catch (const ane::DeviceError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("larger"), HasSubstr("status=0x1d")));
  }
}

TEST_F(AppleLimits, TheBudgetOfCompilesIsRefusedHereAndFailsThere) {
  AppleOptions few = options();
  few.compile_limit = 3;
  device_ = make(few);
  for (int i = 0; i < 3; ++i) (void)device_->compile(doubling());
  try {
    (void)device_->compile(doubling());
    FAIL() << "compiled beyond the limit";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::refused);
    EXPECT_THAT(error.what(), HasSubstr("3 compiles"));
  }
  // A user who raises the limit meets the framework's own, which says nothing.
  few.compile_limit = 200;
  device_ = make(few);
  set_compiles(1);
  (void)device_->compile(doubling());
  try {
    (void)device_->compile(doubling());
    FAIL() << "compiled beyond the framework's budget";
  } catch (const ane::DeviceError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr(kCompile), HasSubstr("no error object")));
  }
}

TEST_F(AppleLimits, FailedCompilesAreNotPacedOnTheStandIn) {
  ane::ProgramSource broken = doubling();
  broken.mil = "garbage";
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 3; ++i) EXPECT_THROW((void)device_->compile(broken), Error);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(15));
}

TEST_F(AppleLimits, AFailedUnloadIsSaidAndNothingElse) {
  auto request = ready(doubling());
  set_faults("unloadWithQoS:error:=fail");
  ::testing::internal::CaptureStderr();
  request.reset();
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("unloadWithQoS:error: failed"));
}

}  // namespace
}  // namespace aneval::apple
