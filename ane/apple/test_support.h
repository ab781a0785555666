// For tests of the Apple backend over the stand-in: its library, its faults, its live objects, and a small program.
#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "ane/apple/apple_device.h"
#include "ane/half.h"

extern "C" long aneval_standin_live_objects(void);

namespace aneval::apple {

inline std::string program_text(const std::string& body,
                                const std::string& parameter = "tensor<fp16, [1, 64, 1, 64]> x") {
  return "program(1.3)\n{\n  func main<ios18>(" + parameter + ") {\n" + body + "  } -> (y);\n}\n";
}

/// y = x + x over [1, 64, 1, 64].
inline ane::ProgramSource doubling(const std::string& name = "double") {
  return {name, program_text("tensor<fp16, [1, 64, 1, 64]> y = add(x = x, y = x)[name = string(\"y\")];\n"),
          {},   8192,
          8192, "64 channels, S 64"};
}

/// A temporary folder of its own, which must be empty again at the end; no object may stay alive.
class OverStandIn : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string pattern = (std::filesystem::temp_directory_path() / "aneval-apple-XXXXXX").string();
    folder_ = pattern;
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    if (const char* before = std::getenv("TMPDIR")) tmpdir_before_ = before;
    ::setenv("TMPDIR", folder_.c_str(), 1);
    live_before_ = aneval_standin_live_objects();
    set_compiles(kCompileLimit);
    device_ = make(options());
  }

  void TearDown() override {
    set_faults("");
    device_.reset();
    EXPECT_EQ(aneval_standin_live_objects(), live_before_) << "objects were not released";
    EXPECT_TRUE(std::filesystem::is_empty(folder_)) << "folders of programs were left behind";
    std::filesystem::remove_all(folder_);
    if (tmpdir_before_.empty())
      ::unsetenv("TMPDIR");
    else
      ::setenv("TMPDIR", tmpdir_before_.c_str(), 1);
  }

  static AppleOptions options() {
    AppleOptions options;
    options.framework = ANEVAL_STANDIN;
    options.chip = "test";
    return options;
  }
  static std::unique_ptr<ane::Device> make(const AppleOptions& options) { return make_apple_device(options); }

  static void set_faults(const char* text) { symbol<void (*)(const char*)>("aneval_standin_set_faults")(text); }
  static void set_compiles(long left) { symbol<void (*)(long)>("aneval_standin_set_compiles")(left); }

  /// The program on surfaces of its own, not evaluated yet.
  std::shared_ptr<ane::Request> ready(const ane::ProgramSource& source) {
    auto executable = device_->compile(source);
    device_->load(*executable);
    return device_->make_request(executable, device_->create_surface(source.input_bytes),
                                 device_->create_surface(source.output_bytes));
  }

  static void write(const std::shared_ptr<ane::Surface>& surface, std::size_t at, float value) {
    ane::WriteLock(*surface).halves()[at] = ane::to_half(value);
  }
  static float read(const std::shared_ptr<ane::Surface>& surface, std::size_t at) {
    return ane::to_float(ane::ReadLock(*surface).halves()[at]);
  }

  template <class T>
  static T symbol(const char* name) {
    void* const library = ::dlopen(ANEVAL_STANDIN, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error(::dlerror());
    return reinterpret_cast<T>(::dlsym(library, name));
  }

  std::unique_ptr<ane::Device> device_;
  std::string folder_, tmpdir_before_;
  long live_before_ = 0;
};

}  // namespace aneval::apple
