// The Apple backend over the stand-in: what goes well, and the same bits as on the emulator.
#include <gmock/gmock.h>

#include "ane/apple/test_support.h"
#include "ane/compiled_kernel.h"
#include "ane/emulator/emulator.h"
#include "ane/kernels/kernel.h"
#include "common/error.h"
#include "common/random.h"

namespace aneval::apple {
namespace {

using ::testing::HasSubstr;
using AppleDevice = OverStandIn;

TEST_F(AppleDevice, IsNamedAfterTheStandInAndKnowsItsFamily) {
  EXPECT_EQ(device_->info().backend, "apple-standin");
  EXPECT_EQ(device_->info().family, "h16");
  EXPECT_EQ(device_->info().chip, "test");
  EXPECT_EQ(device_->info().profile, "");
  EXPECT_EQ(device_->compile_limit(), kCompileLimit);
}

TEST_F(AppleDevice, EvaluatesOnItsOwnAndOnOtherSurfacesAndCounts) {
  const auto request = ready(doubling());
  const auto other = device_->create_surface(8192);
  const auto second = device_->make_request(request->executable(), other, request->output());
  write(request->input(), 70, 1.5F);
  write(other, 70, -2.0F);
  device_->evaluate(*request);
  EXPECT_EQ(read(request->output(), 70), 3.0F);
  EXPECT_EQ(read(request->output(), 71), 0.0F);
  device_->evaluate(*second);
  EXPECT_EQ(read(request->output(), 70), -4.0F);
  const ane::DeviceCounters counters = device_->counters();
  EXPECT_EQ(counters.compile_attempts, 1);
  EXPECT_EQ(counters.loads, 1);
  EXPECT_EQ(counters.evaluations, 2);
  EXPECT_EQ(counters.surfaces, 3);
}

TEST_F(AppleDevice, ProgramsLieInFoldersOfTheirOwnUntilTheyEnd) {
  auto request = ready(doubling());
  const auto entries = [&] {
    return std::distance(std::filesystem::directory_iterator(folder_), std::filesystem::directory_iterator());
  };
  EXPECT_EQ(entries(), 1);
  auto same = ready(doubling("the same text"));  // shares the folder
  EXPECT_EQ(entries(), 1);
  request.reset();
  write(same->input(), 0, 4);
  device_->evaluate(*same);
  EXPECT_EQ(read(same->output(), 0), 8.0F);
  // A third one finds its files although the first program's unload removed the folder.
  auto third = ready(doubling("once more"));
  device_->evaluate(*third);
}

TEST_F(AppleDevice, AKernelWithWeightFilesHasTheEmulatorsBits) {
  const ModelShape shape = parse_model_shape(
      R"({"name": "small", "dim": 64, "hidden": 96, "heads": 4, "kv_heads": 2, "head_dim": 16, "seq": 32, "layers": 1,
          "vocab": 32})",
      "test");
  const auto emulator = emulator::make_emulator({});
  const auto registry = ane::KernelRegistry::builtin();
  for (const std::string name : {"sdpaFwd", "ffnFused", "sdpaBwd2", "kvBwd"}) {
    const ane::KernelSpec& spec = registry.find(name);
    std::vector<std::string> hashes;
    for (ane::Device* device : {device_.get(), emulator.get()}) {
      const ane::CompiledKernel kernel = ane::compile_kernel(*device, spec, {shape, {}, 0, 0});
      const auto request =
          device->make_request(kernel.executable, device->create_surface(kernel.executable->input_bytes()),
                               device->create_surface(kernel.executable->output_bytes()));
      {
        const ane::WriteLock lock(*request->input());
        Random random(1, name);
        std::vector<float> values(lock.halves().size());
        random.fill_normal(values, 0.5);
        ane::to_half(values.data(), lock.halves().data(), static_cast<std::int64_t>(values.size()));
      }
      ane::evaluate_poisoned(*device, *request, ane::kPoison[0]);
      hashes.push_back(ane::surface_hash(*request->output()));
    }
    EXPECT_EQ(hashes.at(0), hashes.at(1)) << name;
  }
}

TEST_F(AppleDevice, TheEnginesOwnClockIsAnOption) {
  const auto silent = ready(doubling());
  device_->evaluate(*silent);
  EXPECT_FALSE(silent->hardware_nanoseconds().has_value());
  AppleOptions timed = options();
  timed.hardware_time = true;
  const auto device = make(timed);
  auto executable = device->compile(doubling());
  device->load(*executable);
  const auto request = device->make_request(executable, silent->input(), silent->output());
  EXPECT_FALSE(request->hardware_nanoseconds().has_value()) << "before the first evaluation";
  device->evaluate(*request);
  ASSERT_TRUE(request->hardware_nanoseconds().has_value());
  EXPECT_GT(*request->hardware_nanoseconds(), 0);
}

TEST_F(AppleDevice, AFrameworkThatIsNotThereIsARefusalWithItsPath) {
  AppleOptions nowhere = options();
  nowhere.framework = "/nowhere/AppleNeuralEngine";
  try {
    (void)make(nowhere);
    FAIL() << "opened nothing";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::refused);
    EXPECT_THAT(error.what(), HasSubstr("/nowhere/AppleNeuralEngine"));
  }
}

TEST_F(AppleDevice, TheEnvironmentNamesTheLibrary) {
  EXPECT_EQ(framework_path(options()), ANEVAL_STANDIN);
  ::setenv("ANEVAL_ANE_FRAMEWORK", "/some/library", 1);
  EXPECT_EQ(framework_path({}), "/some/library");
  ::unsetenv("ANEVAL_ANE_FRAMEWORK");
  EXPECT_EQ(framework_path({}), kAppleFramework);
}

}  // namespace
}  // namespace aneval::apple
