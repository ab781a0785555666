// Objects of the stand-in: instances of Objective-C classes that are made at run time, each owning one C++ payload.
// Wrong use (a null object, one of another class, one release too many, no autorelease pool) ends the process with a
// message: on Apple's systems it would be undefined behaviour.
#pragma once

#include <objc/runtime.h>

#include <atomic>
#include <string_view>
#include <utility>

namespace aneval::standin {

struct Payload {
  virtual ~Payload() = default;
};

/// What the runtime sees of an object begins with its class.
struct Object {
  Class isa;
  std::atomic<long> references;
  Payload* payload;
};

/// Prints and aborts.
[[noreturn]] void misuse(std::string_view function, std::string_view what);

/// A registered class below the root, which has retain, release, autorelease and retainCount; the existing one if there
/// is one of that name.
Class define_class(const char* name);

/// `types` is the runtime's encoding of result and arguments.
template <class Function>
void add_method(Class to, const char* selector, Function* implementation, const char* types) {
  // By way of the type that compilers take for any function's.
  const auto method = reinterpret_cast<IMP>(reinterpret_cast<void (*)()>(implementation));
  if (!class_addMethod(to, sel_registerName(selector), method, types)) misuse(selector, "is there already");
}
/// Of the class itself ("+").
template <class Function>
void add_class_method(Class to, const char* selector, Function* implementation, const char* types) {
  add_method(object_getClass(reinterpret_cast<id>(to)), selector, implementation, types);
}

/// A new object with one reference, which takes the payload over.
id make_object(Class of, Payload* payload);
template <class T, class... Arguments>
id make(Class of, Arguments&&... arguments) {
  return make_object(of, new T(std::forward<Arguments>(arguments)...));
}
void retain(id object);
void release(id object);
/// Leaves the object to the innermost pool of this thread, as methods do whose names do not begin with new or copy.
id autorelease(id object);

/// Objects alive, classes and constants apart.
long live_objects();
/// From now on the object counts as a constant.
id make_constant(id object);

/// Null when the object is null or has another payload.
template <class T>
T* payload(const void* object) {
  return object == nullptr ? nullptr : dynamic_cast<T*>(static_cast<const Object*>(object)->payload);
}
template <class T>
T& require(const void* object, std::string_view function) {
  T* found = payload<T>(object);
  if (found == nullptr) misuse(function, object == nullptr ? "a null object" : "an object of another class");
  return *found;
}

}  // namespace aneval::standin
