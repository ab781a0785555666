#include "ane/apple/objc.h"

#include <fmt/format.h>

#include <algorithm>

extern "C" {
// Exported by Apple's runtime and called by its compilers, but declared in no public header.
void* objc_autoreleasePoolPush(void);
void objc_autoreleasePoolPop(void* pool);
CFStringRef NSTemporaryDirectory(void);  // Foundation, whose own header is Objective-C
}

namespace aneval::apple {
namespace {

const std::uint8_t* bytes_of(std::span<const std::byte> bytes) {
  return reinterpret_cast<const std::uint8_t*>(bytes.data());
}

}  // namespace

AutoreleasePool::AutoreleasePool() : pool_(objc_autoreleasePoolPush()) {}
AutoreleasePool::~AutoreleasePool() { objc_autoreleasePoolPop(pool_); }

Ref<CFStringRef> make_string(std::string_view text) {
  return Ref(CFStringCreateWithBytes(kCFAllocatorDefault, bytes_of(std::as_bytes(std::span(text))),
                                     static_cast<CFIndex>(text.size()), kCFStringEncodingUTF8, false));
}

Ref<CFNumberRef> make_number(std::int64_t value) {
  return Ref(CFNumberCreate(kCFAllocatorDefault, kCFNumberSInt64Type, &value));
}

Ref<CFDataRef> make_data(std::span<const std::byte> bytes) {
  return Ref(CFDataCreate(kCFAllocatorDefault, bytes_of(bytes), static_cast<CFIndex>(bytes.size())));
}

Ref<CFArrayRef> make_array(std::vector<const void*> values) {
  return Ref(
      CFArrayCreate(kCFAllocatorDefault, values.data(), static_cast<CFIndex>(values.size()), &kCFTypeArrayCallBacks));
}

Ref<CFDictionaryRef> make_dictionary(std::vector<const void*> keys, std::vector<const void*> values) {
  return Ref(CFDictionaryCreate(kCFAllocatorDefault, keys.data(), values.data(), static_cast<CFIndex>(keys.size()),
                                &kCFTypeDictionaryKeyCallBacks, &kCFTypeDictionaryValueCallBacks));
}

std::string text_of(CFStringRef string) {
  if (string == nullptr) return {};
  const CFIndex room = CFStringGetMaximumSizeForEncoding(CFStringGetLength(string), kCFStringEncodingUTF8) + 1;
  std::string text(static_cast<std::size_t>(room), '\0');
  if (!CFStringGetCString(string, text.data(), room, kCFStringEncodingUTF8)) return {};
  text.resize(text.find('\0'));
  return text;
}

std::string text_of_error(const void* error) {
  if (error == nullptr) return "the framework gave no error object";
  auto* const object = static_cast<CFErrorRef>(const_cast<void*>(error));
  const Ref<CFStringRef> description(CFErrorCopyDescription(object));
  std::string text =
      fmt::format("{} ({} {})", text_of(description.get()), text_of(CFErrorGetDomain(object)), CFErrorGetCode(object));
  std::ranges::replace_if(text, [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return text;
}

std::string temporary_folder() {
  const AutoreleasePool pool;
  return text_of(NSTemporaryDirectory());
}

bool responds(const void* receiver, const char* selector) {
  // The class of a class is its metaclass, whose methods are those of the class itself.
  const Class of = object_getClass(reinterpret_cast<id>(const_cast<void*>(receiver)));
  return class_respondsToSelector(of, sel_registerName(selector));
}

}  // namespace aneval::apple
