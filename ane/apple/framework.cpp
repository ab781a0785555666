#include "ane/apple/framework.h"

#include <dlfcn.h>

#include <cctype>

#include "ane/apple/apple_device.h"
#include "common/error.h"

namespace aneval::apple {
namespace {

void* open_library(const std::string& path) {
  // Never closed: classes cannot be taken out of the runtime again.
  void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library != nullptr) return library;
  // The path is part of the place and not of the reason, which is told in files that leave this machine.
  const char* const text = ::dlerror();
  throw refusal(std::string("--backend apple: ") + (text != nullptr ? text : path.c_str()),
                path == kAppleFramework ? "Apple's private framework cannot be opened"
                                        : "the framework that ANEVAL_ANE_FRAMEWORK names cannot be opened",
                "use a Mac with Apple silicon, or --backend emulator");
}

Class find_class(const char* name) {
  const Class found = objc_lookUpClass(name);
  if (found != nullptr) return found;
  throw refusal("--backend apple", std::string("the framework of this system has no class ") + name,
                "use --backend emulator, and report the macOS build (`aneval doctor`)");
}

}  // namespace

Framework::Framework(const std::string& path) {
  void* const library = open_library(path);
  stand_in_ = ::dlsym(library, kStandInSymbol) != nullptr;
  descriptor_ = find_class("_ANEInMemoryModelDescriptor");
  model_ = find_class("_ANEInMemoryModel");
  request_ = find_class("_ANERequest");
  surface_ = find_class("_ANEIOSurfaceObject");
  statistics_ = objc_lookUpClass("_ANEPerformanceStats");
}

std::string Framework::family() const {
  const AutoreleasePool pool;
  const Class info = objc_lookUpClass("_ANEDeviceInfo");
  if (info == nullptr || !responds(info, "aneSubType")) return {};
  std::string family;
  // The letter behind the number is a size of the same family: h16g is an M4's, h16s an M4 Pro's.
  for (const char c : text_of(send<CFStringRef>(info, "aneSubType"))) {
    if (family.size() > 1 && !std::isdigit(static_cast<unsigned char>(c))) break;
    family += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return family;
}

}  // namespace aneval::apple
