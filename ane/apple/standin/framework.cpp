// The library that tests open in the place of Apple's private framework: the same classes and methods, made when it is
// loaded, with the emulator for an engine. What it imitates of the real classes is published behaviour (maderix/ANE,
// mechramc/Orion docs/ane_constraints.md, christopherkarani/Espresso, slavko-at-klincov-it/ANE-Training):
// * a descriptor is nil for text that is no data, and for weights that are nil (without weights: an empty dictionary);
// * compile wants text and weights in <temporary>/<identifier>, and fails there without an error object beyond its
//   budget of compiles; load wants a compile; evaluate wants a load; unload removes the folder;
// * an error object is written on failure only; options are never nil;
// * a surface that is too small fails the evaluation with status 0x1d.
#include <CoreFoundation/CoreFoundation.h>
#include <IOSurface/IOSurfaceRef.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "ane/apple/standin/faults.h"
#include "ane/apple/standin/io_surface.h"
#include "ane/apple/standin/payloads.h"
#include "common/hash.h"

namespace aneval::standin {
namespace {

namespace fs = std::filesystem;
using Bool = unsigned char;  // BOOL of GCC's runtime

constexpr std::string_view kModelPath = "@model_path/";

id autoreleased(CFStringRef string) { return autorelease(reinterpret_cast<id>(const_cast<__CFString*>(string))); }

Class the_descriptor, the_model, the_surface, the_request, the_statistics, the_device_info;

Bool fail(id* error, CFIndex code, std::string_view text) {
  static const CFStringRef domain = constant_string("com.apple.appleneuralengine");
  if (error == nullptr) return 0;
  const CFStringRef description = make_string(text);
  const void *key = kCFErrorLocalizedDescriptionKey, *value = description;
  const CFDictionaryRef info = CFDictionaryCreate(kCFAllocatorDefault, &key, &value, 1, &kCFTypeDictionaryKeyCallBacks,
                                                  &kCFTypeDictionaryValueCallBacks);
  *error = autorelease(reinterpret_cast<id>(CFErrorCreate(kCFAllocatorDefault, domain, code, info)));
  CFRelease(info);
  CFRelease(description);
  return 0;
}

/// Runs a method that says yes or no, unless a fault is planned for it.
template <class Function>
Bool answer(const char* selector, id* error, const Function& method) {
  switch (next_fault(selector)) {
    case Fault::fail:
      return fail(error, 8, "a fault that was asked for");
    case Fault::silent:
      return 0;
    case Fault::nothing:
      return 1;
    default:
      break;
  }
  try {
    return method();
  } catch (const std::exception& exception) {
    return fail(error, 1, exception.what());
  }
}

/// About as many as a process of Apple's has.
std::atomic<std::int64_t> compiles_left{119};

bool same_bytes(const fs::path& file, std::string_view expected) {
  std::ifstream stream(file, std::ios::binary);
  const std::string found((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  return stream.good() || stream.eof() ? found == expected : false;
}

constexpr const char* kDescribe = "modelWithMILText:weights:optionsPlist:";
id describe(id, SEL, id text, id weights, id) {
  if (next_fault(kDescribe) == Fault::no_object || text == nullptr || weights == nullptr) return nullptr;
  if (CFDataGetLength(reinterpret_cast<CFDataRef>(text)) == 0) return nullptr;
  return autorelease(make<Descriptor>(the_descriptor, text, weights));
}

constexpr const char* kMakeModel = "inMemoryModelWithDescriptor:";
id make_model(id, SEL, id descriptor) {
  if (next_fault(kMakeModel) == Fault::no_object) return nullptr;
  const auto& described = require<Descriptor>(descriptor, kMakeModel);
  Hasher hasher;
  const std::string_view text = content(described.text.object);
  hasher.add(text.data(), text.size());
  for (const auto& [path, bytes] : described.files()) {
    hasher.add(path.data(), path.size());
    hasher.add(bytes.data(), bytes.size());
  }
  return autorelease(make<Model>(the_model, descriptor, hasher.digest()));
}

constexpr const char* kIdentify = "hexStringIdentifier";
id identify(id self, SEL) {
  if (next_fault(kIdentify) == Fault::no_object) return nullptr;
  return autoreleased(make_string(require<Model>(self, kIdentify).identifier));
}

constexpr const char* kCompile = "compileWithQoS:options:error:";
Bool compile(id self, SEL, unsigned, id options, id* error) {
  return answer(kCompile, error, [&]() -> Bool {
    Model& model = require<Model>(self, kCompile);
    if (options == nullptr) misuse(kCompile, "options are nil");
    const std::lock_guard lock(model.mutex);
    if (--compiles_left < 0) return 0;
    const std::string_view text = content(model.described().text.object);
    const ane::WeightFiles weights = model.described().files();
    if (!same_bytes(model.folder() / "model.mil", text))
      return fail(error, 1, "_ANECompiler : ANECCompile() FAILED: model.mil is not in the folder");
    for (const auto& [path, bytes] : weights)
      if (!path.starts_with(kModelPath) || !same_bytes(model.folder() / path.substr(kModelPath.size()),
                                                       {reinterpret_cast<const char*>(bytes.data()), bytes.size()}))
        return fail(error, 1, "_ANECompiler : ANECCompile() FAILED: " + path + " is not in the folder");
    try {
      model.executor = Executor::make(text, weights);
    } catch (const std::exception& exception) {
      return fail(error, 1, std::string("_ANECompiler : ANECCompile() FAILED: ") + exception.what());
    }
    model.state = State::compiled;
    return 1;
  });
}

constexpr const char* kLoad = "loadWithQoS:options:error:";
Bool load(id self, SEL, unsigned, id options, id* error) {
  return answer(kLoad, error, [&]() -> Bool {
    Model& model = require<Model>(self, kLoad);
    if (options == nullptr) misuse(kLoad, "options are nil");
    const std::lock_guard lock(model.mutex);
    if (model.state == State::made) return fail(error, 5, "Program load failure (0x20004)");
    model.state = State::loaded;
    return 1;
  });
}

constexpr const char* kUnload = "unloadWithQoS:error:";
Bool unload(id self, SEL, unsigned, id* error) {
  return answer(kUnload, error, [&]() -> Bool {
    Model& model = require<Model>(self, kUnload);
    const std::lock_guard lock(model.mutex);
    if (model.state != State::loaded) return fail(error, 5, "Program is not loaded");
    std::error_code ignored;
    fs::remove_all(model.folder(), ignored);
    model.state = State::compiled;
    return 1;
  });
}

constexpr const char* kPurge = "purgeCompiledModel";
void purge(id self, SEL) { static_cast<void>(require<Model>(self, kPurge)); }

constexpr const char* kMask = "setPerfStatsMask:";
void set_mask(id self, SEL, unsigned mask) { require<Model>(self, kMask).statistics_mask = mask; }

constexpr const char* kWrap = "objectWithIOSurface:";
id wrap(id, SEL, IOSurfaceRef surface) {
  if (next_fault(kWrap) == Fault::no_object || surface == nullptr) return nullptr;
  static_cast<void>(require<Surface>(surface, kWrap));
  return autorelease(make<SurfaceObject>(the_surface, surface));
}

constexpr const char* kRequest =
    "requestWithInputs:inputIndices:outputs:outputIndices:weightsBuffer:perfStats:procedureIndex:";
id make_request(id, SEL, id inputs, id input_indices, id outputs, id output_indices, id, id statistics, id procedure) {
  if (next_fault(kRequest) == Fault::no_object) return nullptr;
  std::int64_t number = -1;
  CFNumberGetValue(reinterpret_cast<CFNumberRef>(procedure), kCFNumberSInt64Type, &number);
  if (number != 0) misuse(kRequest, "the procedure is not 0");
  for (const id array : {inputs, input_indices, outputs, output_indices})
    if (CFArrayGetCount(reinterpret_cast<CFArrayRef>(array)) != 1) misuse(kRequest, "an array has not one element");
  return autorelease(make<Request>(the_request, inputs, outputs, statistics));
}

Surface& surface_of(const Kept<CFArrayRef>& array, const char* function) {
  const auto& object = require<SurfaceObject>(CFArrayGetValueAtIndex(array.object, 0), function);
  return require<Surface>(object.io_surface.object, function);
}

constexpr const char* kEvaluate = "evaluateWithQoS:options:request:error:";
Bool evaluate(id self, SEL, unsigned, id options, id of, id* error) {
  return answer(kEvaluate, error, [&]() -> Bool {
    Model& model = require<Model>(self, kEvaluate);
    if (options == nullptr) misuse(kEvaluate, "options are nil");
    const auto& request = require<Request>(of, kEvaluate);
    const std::lock_guard lock(model.mutex);
    if (model.state != State::loaded) return fail(error, 5, "Program is not loaded");
    Surface &input = surface_of(request.inputs, kEvaluate), &output = surface_of(request.outputs, kEvaluate);
    if (input.writers != 0 || output.writers != 0 || output.readers != 0)
      misuse(kEvaluate, "a surface is locked by the CPU");
    if (input.bytes < model.executor->input_bytes() || output.bytes < model.executor->output_bytes())
      return fail(error, 8, "processRequest:... failed: status=0x1d statusType=0x9: Program Inference error");
    const auto begin = std::chrono::steady_clock::now();
    model.executor->run({input.memory, input.bytes}, {output.memory, output.bytes});
    const auto passed = std::chrono::steady_clock::now() - begin;
    if (auto* statistics = payload<Statistics>(request.statistics.object);
        statistics != nullptr && model.statistics_mask)
      statistics->nanoseconds =
          static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(passed).count());
    return 1;
  });
}

unsigned driver_mask(id, SEL, unsigned mask) { return mask; }
id make_statistics(id, SEL, std::uint64_t nanoseconds) {
  auto* statistics = new Statistics;
  statistics->nanoseconds = nanoseconds;
  return autorelease(make_object(the_statistics, statistics));
}
std::uint64_t execution_time(id self, SEL) { return require<Statistics>(self, "hwExecutionTime").nanoseconds; }

/// "h16g": the family with the letter of its size, also of a chip with other settings; nil for profiles that are no
/// chip's.
id sub_type(id, SEL) {
  const std::string profile = profile_name(), name = profile.substr(0, profile.find(':'));
  if (name.size() != 3 || name.front() != 'h') return nullptr;
  return autoreleased(make_string(name + "g"));
}

/// A class, unless it is to be missing; its methods below likewise.
Class make_class(const char* name) { return is_missing(name) ? nullptr : define_class(name); }
template <class Function>
void instance_method(Class of, const char* selector, Function* method, const char* types) {
  if (of != nullptr && !is_missing(selector)) add_method(of, selector, method, types);
}
template <class Function>
void class_method(Class of, const char* selector, Function* method, const char* types) {
  if (of != nullptr && !is_missing(selector)) add_class_method(of, selector, method, types);
}

[[gnu::constructor]] void make_classes() {
  the_descriptor = make_class("_ANEInMemoryModelDescriptor");
  class_method(the_descriptor, kDescribe, describe, "@@:@@@");
  the_model = make_class("_ANEInMemoryModel");
  class_method(the_model, kMakeModel, make_model, "@@:@");
  instance_method(the_model, kIdentify, identify, "@@:");
  instance_method(the_model, kCompile, compile, "C@:I@^@");
  instance_method(the_model, kLoad, load, "C@:I@^@");
  instance_method(the_model, kUnload, unload, "C@:I^@");
  instance_method(the_model, kEvaluate, evaluate, "C@:I@@^@");
  instance_method(the_model, kPurge, purge, "v@:");
  instance_method(the_model, kMask, set_mask, "v@:I");
  the_surface = make_class("_ANEIOSurfaceObject");
  class_method(the_surface, kWrap, wrap, "@@:^v");
  the_request = make_class("_ANERequest");
  class_method(the_request, kRequest, make_request, "@@:@@@@@@@");
  the_statistics = make_class("_ANEPerformanceStats");
  class_method(the_statistics, "driverMaskForANEFMask:", driver_mask, "I@:I");
  class_method(the_statistics, "statsWithHardwareExecutionNS:", make_statistics, "@@:Q");
  instance_method(the_statistics, "hwExecutionTime", execution_time, "Q@:");
  the_device_info = make_class("_ANEDeviceInfo");
  class_method(the_device_info, "aneSubType", sub_type, "@@:");
}

}  // namespace
}  // namespace aneval::standin

extern "C" {
/// Says that this is no framework of Apple's.
[[gnu::visibility("default")]] extern const int aneval_standin;
const int aneval_standin = 1;
/// Replaces the planned faults (faults.h).
[[gnu::visibility("default")]] void aneval_standin_set_faults(const char* text);
void aneval_standin_set_faults(const char* text) { aneval::standin::set_faults(text); }
/// How many compiles this process has left.
[[gnu::visibility("default")]] void aneval_standin_set_compiles(long left);
void aneval_standin_set_compiles(long left) { aneval::standin::compiles_left = left; }
}
