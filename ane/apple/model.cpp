#include "ane/apple/model.h"

#include <fmt/format.h>

#include <cstdio>

namespace aneval::apple {
namespace {

/// {path: {"offset": 0, "data": bytes}} for every file. The offset is that of the file's beginning; blobs are found by
/// the offsets in the program. Without weights an empty dictionary: nil makes no descriptor.
Ref<CFDictionaryRef> weights_dictionary(const ane::WeightFiles& weights) {
  const auto offset = make_string("offset"), data = make_string("data");
  const auto zero = make_number(0);
  std::vector<Ref<CFStringRef>> paths;
  std::vector<Ref<CFDictionaryRef>> entries;
  std::vector<const void*> keys, values;
  for (const auto& [path, bytes] : weights) {
    const auto content = make_data(bytes);
    paths.push_back(make_string(path));
    entries.push_back(make_dictionary({offset.get(), data.get()}, {zero.get(), content.get()}));
    keys.push_back(paths.back().get());
    values.push_back(entries.back().get());
  }
  return make_dictionary(keys, values);
}

}  // namespace

Model::Model(const Framework& framework, unsigned qos, std::string_view mil, const ane::WeightFiles& weights)
    : framework_(framework), qos_(qos), options_(make_dictionary({}, {})) {
  const AutoreleasePool pool;
  const auto text = make_data(std::as_bytes(std::span(mil)));  // NSData: a string is not accepted
  const auto dictionary = weights_dictionary(weights);
  constexpr const char* kDescribe = "modelWithMILText:weights:optionsPlist:";
  const auto* const descriptor = send<const void*, const void*, const void*, const void*>(
      framework.descriptor(), kDescribe, text.get(), dictionary.get(), nullptr);
  if (descriptor == nullptr) throw CallError(kDescribe, "made no descriptor: text or weights were not accepted");
  constexpr const char* kMake = "inMemoryModelWithDescriptor:";
  model_ = Ref<id>::retain(send<id, const void*>(framework.model(), kMake, descriptor));
  if (!model_) throw CallError(kMake, "made no model");
}

Model::~Model() { unload(); }

void Model::unload() noexcept {
  if (!std::exchange(loaded_, false)) return;
  const AutoreleasePool pool;
  try {
    send_checked(model_.get(), "unloadWithQoS:error:", qos_);
  } catch (const std::exception& error) {
    // Nobody is left to handle it, but engine memory that stays behind must not stay a secret.
    std::fprintf(stderr, "aneval: %s\n", error.what());
  }
}

std::string Model::identifier() const {
  const AutoreleasePool pool;
  constexpr const char* kIdentify = "hexStringIdentifier";
  const std::string text = text_of(send<CFStringRef>(model_.get(), kIdentify));
  // It becomes the name of a folder that is removed with all in it.
  if (text.empty() || text.find_first_not_of("0123456789abcdefABCDEF_-") != std::string::npos)
    throw CallError(kIdentify, fmt::format("gave '{}', which is no identifier", text));
  return text;
}

void Model::purge() {
  const AutoreleasePool pool;
  constexpr const char* kPurge = "purgeCompiledModel";
  if (responds(model_.get(), kPurge)) send<void>(model_.get(), kPurge);
}

void Model::compile() {
  const AutoreleasePool pool;
  send_checked(model_.get(), "compileWithQoS:options:error:", qos_, static_cast<const void*>(options_.get()));
}

void Model::load(bool hardware_time) {
  const AutoreleasePool pool;
  constexpr const char* kMask = "setPerfStatsMask:";
  constexpr const char* kDriverMask = "driverMaskForANEFMask:";
  const Class statistics = framework_.statistics();
  if (hardware_time && statistics != nullptr && responds(statistics, kDriverMask) && responds(model_.get(), kMask)) {
    // Bits 0 to 3 are all that a chip may accept (christopherkarani/Espresso on M3 Max).
    send<void, unsigned>(model_.get(), kMask, send<unsigned, unsigned>(statistics, kDriverMask, 0xFU));
    statistics_ = true;
  }
  send_checked(model_.get(), "loadWithQoS:options:error:", qos_, static_cast<const void*>(options_.get()));
  loaded_ = true;
}

BoundRequest Model::bind(IOSurfaceRef input, IOSurfaceRef output) const {
  const AutoreleasePool pool;
  const auto wrap = [&](IOSurfaceRef surface) {
    constexpr const char* kWrap = "objectWithIOSurface:";
    const auto* const object = send<const void*, IOSurfaceRef>(framework_.surface(), kWrap, surface);
    if (object == nullptr) throw CallError(kWrap, "made no object");
    return object;
  };
  BoundRequest bound;
  constexpr const char* kStatistics = "statsWithHardwareExecutionNS:";
  if (statistics_ && responds(framework_.statistics(), kStatistics))
    bound.statistics = Ref<id>::retain(send<id, std::uint64_t>(framework_.statistics(), kStatistics, 0));
  const auto inputs = make_array({wrap(input)}), outputs = make_array({wrap(output)});
  const auto zero = make_number(0);
  const auto indices = make_array({zero.get()});
  constexpr const char* kRequest =
      "requestWithInputs:inputIndices:outputs:outputIndices:weightsBuffer:perfStats:procedureIndex:";
  using Object = const void*;
  bound.request = Ref<id>::retain(send<id, Object, Object, Object, Object, Object, Object, Object>(
      framework_.request(), kRequest, inputs.get(), indices.get(), outputs.get(), indices.get(), nullptr,
      bound.statistics.get(), zero.get()));
  if (!bound.request) throw CallError(kRequest, "made no request");
  return bound;
}

void Model::evaluate(const BoundRequest& request) const {
  const AutoreleasePool pool;
  send_checked(model_.get(), "evaluateWithQoS:options:request:error:", qos_, static_cast<const void*>(options_.get()),
               static_cast<const void*>(request.request.get()));
}

std::optional<std::int64_t> Model::hardware_time(const BoundRequest& request) {
  constexpr const char* kTime = "hwExecutionTime";
  if (!request.statistics || !responds(request.statistics.get(), kTime)) return std::nullopt;
  const AutoreleasePool pool;
  const auto nanoseconds = send<std::uint64_t>(request.statistics.get(), kTime);
  if (nanoseconds == 0 || nanoseconds > INT64_MAX) return std::nullopt;
  return static_cast<std::int64_t>(nanoseconds);
}

}  // namespace aneval::apple
