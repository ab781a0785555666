// Objective-C and CoreFoundation from plain C++: references that are released, pools, and method calls that check that
// the method is there. The same source builds on macOS and, over the stand-in's headers, elsewhere.
#pragma once

#include <CoreFoundation/CoreFoundation.h>
#include <objc/message.h>
#include <objc/runtime.h>

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aneval::apple {

/// A call that came to nothing. The device adds which program it was for.
class CallError : public std::runtime_error {
 public:
  CallError(std::string_view selector, std::string_view reason)
      : std::runtime_error(std::string(selector) + " " + std::string(reason)) {}
};

/// What methods leave to the pool is released at the end of the scope. Every function that calls methods opens one.
class AutoreleasePool {
 public:
  AutoreleasePool();
  ~AutoreleasePool();
  AutoreleasePool(const AutoreleasePool&) = delete;
  AutoreleasePool& operator=(const AutoreleasePool&) = delete;

 private:
  void* pool_;
};

/// Owns one reference to a CoreFoundation or Objective-C object, or none.
template <class T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T owned) : object_(owned) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ != nullptr) CFRelease(object_);
  }
  /// Of an object that somebody else owns, e.g. a pool.
  static Ref retain(T borrowed) {
    if (borrowed != nullptr) CFRetain(borrowed);
    return Ref(borrowed);
  }

  T get() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  T object_ = nullptr;
};

Ref<CFStringRef> make_string(std::string_view text);
Ref<CFNumberRef> make_number(std::int64_t value);
Ref<CFDataRef> make_data(std::span<const std::byte> bytes);
Ref<CFArrayRef> make_array(std::vector<const void*> values);
Ref<CFDictionaryRef> make_dictionary(std::vector<const void*> keys, std::vector<const void*> values);

/// UTF-8; empty for null.
std::string text_of(CFStringRef string);
/// Description, domain and code of an NSError; says so when there is none. CFErrorRef is NSError, toll-free.
std::string text_of_error(const void* error);

/// NSTemporaryDirectory(), which the framework uses as well.
std::string temporary_folder();

/// Whether the object, or the class, has the method.
bool responds(const void* receiver, const char* selector);

/// Calls a method. `Result` and the arguments must be the method's own C types. Throws a CallError when the receiver is
/// null, has no such method, or throws an Objective-C exception.
template <class Result, class... Arguments>
Result send(const void* receiver, const char* selector, Arguments... arguments) {
  if (receiver == nullptr) throw CallError(selector, "has nobody to be sent to: nil");
  if (!responds(receiver, selector)) throw CallError(selector, "is no method of this system's framework");
  const auto call = reinterpret_cast<Result (*)(const void*, SEL, Arguments...)>(objc_msgSend);
  try {
    return call(receiver, sel_registerName(selector), arguments...);
  } catch (const std::exception&) {
    throw;
  } catch (...) {  // foreign to C++
    throw CallError(selector, "threw an Objective-C exception");
  }
}

/// Calls a method that ends in `error:` and says yes or no. Throws a CallError with the NSError's text on no.
template <class... Arguments>
void send_checked(const void* receiver, const char* selector, Arguments... arguments) {
  const void* error = nullptr;
  const BOOL yes = send<BOOL, Arguments..., const void**>(receiver, selector, arguments..., &error);
  // Only after a no: some methods leave a stale object behind when all went well.
  if (!yes) throw CallError(selector, "failed: " + text_of_error(error));
}

}  // namespace aneval::apple
