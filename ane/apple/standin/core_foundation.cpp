// The stand-in's CoreFoundation types. They are objects of the same runtime, as on Apple's systems, so that both sides
// may pass them for NSString, NSData and so on.
#include <CoreFoundation/CoreFoundation.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "ane/apple/standin/object.h"

namespace aneval::standin {
namespace {

struct String : Payload {
  explicit String(std::string value) : text(std::move(value)) {}
  std::string text;
};

struct Data : Payload {
  Data(const std::uint8_t* begin, std::size_t count) : bytes(begin, begin + count) {}
  std::vector<std::uint8_t> bytes;
};

struct Number : Payload {
  explicit Number(std::int64_t of) : value(of) {}
  std::int64_t value;
};

struct Array : Payload {
  ~Array() override {
    for (const CFTypeRef value : values) CFRelease(value);
  }
  std::vector<CFTypeRef> values;
};

struct Dictionary : Payload {
  ~Dictionary() override {
    for (const auto& [key, value] : entries) {
      CFRelease(key);
      CFRelease(value);
    }
  }
  std::vector<std::pair<CFTypeRef, CFTypeRef>> entries;
};

struct ErrorObject : Payload {
  ~ErrorObject() override {
    CFRelease(domain);
    CFRelease(description);
  }
  CFStringRef domain = nullptr, description = nullptr;
  CFIndex code = 0;
};

CFStringRef string(std::string text) {
  return reinterpret_cast<CFStringRef>(make<String>(define_class("__NSCFString"), std::move(text)));
}

bool equal(CFTypeRef a, CFTypeRef b) {
  if (a == b) return true;
  const auto *x = payload<String>(a), *y = payload<String>(b);
  return x != nullptr && y != nullptr && x->text == y->text;
}

std::size_t size_of(CFIndex count, const char* function) {
  if (count < 0) misuse(function, "a negative count");
  return static_cast<std::size_t>(count);
}

}  // namespace

CFStringRef constant_string(const char* text) {
  const CFStringRef made = string(text);
  make_constant(reinterpret_cast<id>(const_cast<__CFString*>(made)));
  return made;
}

}  // namespace aneval::standin

using namespace aneval::standin;

extern "C" {

const CFAllocatorRef kCFAllocatorDefault = nullptr;
const CFArrayCallBacks kCFTypeArrayCallBacks{0};
const CFDictionaryKeyCallBacks kCFTypeDictionaryKeyCallBacks{0};
const CFDictionaryValueCallBacks kCFTypeDictionaryValueCallBacks{0};
const CFStringRef kCFErrorLocalizedDescriptionKey = constant_string("NSLocalizedDescription");

CFTypeRef CFRetain(CFTypeRef object) {
  require<Payload>(object, __func__);
  retain(reinterpret_cast<id>(const_cast<void*>(object)));
  return object;
}

void CFRelease(CFTypeRef object) {
  require<Payload>(object, __func__);
  release(reinterpret_cast<id>(const_cast<void*>(object)));
}

CFStringRef CFStringCreateWithBytes(CFAllocatorRef, const uint8_t* bytes, CFIndex count, CFStringEncoding encoding,
                                    Boolean) {
  if (encoding != kCFStringEncodingUTF8) misuse(__func__, "only UTF-8 is stood in for");
  return string(std::string(reinterpret_cast<const char*>(bytes), size_of(count, __func__)));
}
// In bytes, not in UTF-16 units: an upper bound of what Apple's returns.
CFIndex CFStringGetLength(CFStringRef of) { return static_cast<CFIndex>(require<String>(of, __func__).text.size()); }
CFIndex CFStringGetMaximumSizeForEncoding(CFIndex length, CFStringEncoding) { return length * 3; }
Boolean CFStringGetCString(CFStringRef of, char* buffer, CFIndex size, CFStringEncoding) {
  const std::string& text = require<String>(of, __func__).text;
  if (text.size() >= size_of(size, __func__)) return 0;
  std::memcpy(buffer, text.c_str(), text.size() + 1);
  return 1;
}

CFDataRef CFDataCreate(CFAllocatorRef, const uint8_t* bytes, CFIndex count) {
  return reinterpret_cast<CFDataRef>(make<Data>(define_class("__NSCFData"), bytes, size_of(count, __func__)));
}
const uint8_t* CFDataGetBytePtr(CFDataRef data) { return require<Data>(data, __func__).bytes.data(); }
CFIndex CFDataGetLength(CFDataRef data) { return static_cast<CFIndex>(require<Data>(data, __func__).bytes.size()); }

CFNumberRef CFNumberCreate(CFAllocatorRef, CFNumberType type, const void* value) {
  std::int64_t wide = 0;
  if (type == kCFNumberSInt32Type)
    wide = *static_cast<const std::int32_t*>(value);
  else if (type == kCFNumberSInt64Type)
    wide = *static_cast<const std::int64_t*>(value);
  else
    misuse(__func__, "a type that is not stood in for");
  return reinterpret_cast<CFNumberRef>(make<Number>(define_class("__NSCFNumber"), wide));
}
Boolean CFNumberGetValue(CFNumberRef number, CFNumberType type, void* value) {
  const std::int64_t wide = require<Number>(number, __func__).value;
  if (type == kCFNumberSInt32Type)
    *static_cast<std::int32_t*>(value) = static_cast<std::int32_t>(wide);
  else
    *static_cast<std::int64_t*>(value) = wide;
  return 1;
}

CFArrayRef CFArrayCreate(CFAllocatorRef, const void** values, CFIndex count, const CFArrayCallBacks*) {
  auto* array = new Array;
  for (std::size_t i = 0; i < size_of(count, __func__); ++i) array->values.push_back(CFRetain(values[i]));
  return reinterpret_cast<CFArrayRef>(make_object(define_class("__NSCFArray"), array));
}
CFIndex CFArrayGetCount(CFArrayRef array) {
  return static_cast<CFIndex>(require<Array>(array, __func__).values.size());
}
const void* CFArrayGetValueAtIndex(CFArrayRef array, CFIndex index) {
  const auto& values = require<Array>(array, __func__).values;
  if (size_of(index, __func__) >= values.size()) misuse(__func__, "an index beyond the end");
  return values[static_cast<std::size_t>(index)];
}

CFDictionaryRef CFDictionaryCreate(CFAllocatorRef, const void** keys, const void** values, CFIndex count,
                                   const CFDictionaryKeyCallBacks*, const CFDictionaryValueCallBacks*) {
  auto* dictionary = new Dictionary;
  for (std::size_t i = 0; i < size_of(count, __func__); ++i)
    dictionary->entries.emplace_back(CFRetain(keys[i]), CFRetain(values[i]));
  return reinterpret_cast<CFDictionaryRef>(make_object(define_class("__NSCFDictionary"), dictionary));
}
CFIndex CFDictionaryGetCount(CFDictionaryRef dictionary) {
  return static_cast<CFIndex>(require<Dictionary>(dictionary, __func__).entries.size());
}
const void* CFDictionaryGetValue(CFDictionaryRef dictionary, const void* key) {
  for (const auto& [known, value] : require<Dictionary>(dictionary, __func__).entries)
    if (equal(known, key)) return value;
  return nullptr;
}
void CFDictionaryGetKeysAndValues(CFDictionaryRef dictionary, const void** keys, const void** values) {
  for (const auto& [key, value] : require<Dictionary>(dictionary, __func__).entries) {
    if (keys != nullptr) *keys++ = key;
    if (values != nullptr) *values++ = value;
  }
}

CFErrorRef CFErrorCreate(CFAllocatorRef, CFStringRef domain, CFIndex code, CFDictionaryRef user_info) {
  auto* error = new ErrorObject;
  error->domain = static_cast<CFStringRef>(CFRetain(domain));
  error->code = code;
  const void* text = user_info == nullptr ? nullptr : CFDictionaryGetValue(user_info, kCFErrorLocalizedDescriptionKey);
  error->description = text != nullptr
                           ? static_cast<CFStringRef>(CFRetain(text))
                           : string("The operation couldn't be completed. (" + require<String>(domain, __func__).text +
                                    " error " + std::to_string(code) + ".)");
  return reinterpret_cast<CFErrorRef>(make_object(define_class("__NSCFError"), error));
}
CFStringRef CFErrorCopyDescription(CFErrorRef error) {
  return static_cast<CFStringRef>(CFRetain(require<ErrorObject>(error, __func__).description));
}
CFStringRef CFErrorGetDomain(CFErrorRef error) { return require<ErrorObject>(error, __func__).domain; }
CFIndex CFErrorGetCode(CFErrorRef error) { return require<ErrorObject>(error, __func__).code; }

/// Foundation's; autoreleased there as well.
CFStringRef NSTemporaryDirectory(void);
CFStringRef NSTemporaryDirectory(void) {
  std::error_code ignored;
  const CFStringRef path = string(std::filesystem::temp_directory_path(ignored).string() + "/");
  autorelease(reinterpret_cast<id>(const_cast<__CFString*>(path)));
  return path;
}

long aneval_standin_live_objects(void);
long aneval_standin_live_objects(void) { return live_objects(); }

}  // extern "C"
