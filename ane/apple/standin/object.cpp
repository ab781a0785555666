#include "ane/apple/standin/object.h"

#include <cstdio>
#include <cstdlib>
#include <vector>

namespace aneval::standin {
namespace {

std::atomic<long> live{0};

/// Autoreleased objects of this thread, and where each of its pools begins.
struct Pools {
  std::vector<id> objects;
  std::vector<std::size_t> begins;
};
thread_local Pools pools;

Object* object(id of) { return reinterpret_cast<Object*>(of); }

/// Instance methods of a root class answer for classes as well; those are not counted.
bool is_class(id of) { return class_isMetaClass(object(of)->isa); }

id retain_method(id self, SEL) {
  retain(self);
  return self;
}

void release_method(id self, SEL) { release(self); }

id autorelease_method(id self, SEL) { return autorelease(self); }

unsigned long retain_count(id self, SEL) { return static_cast<unsigned long>(object(self)->references.load()); }

Class root() {
  static const Class made = [] {
    const Class root = objc_allocateClassPair(nullptr, "NSObject", 0);
    class_addIvar(root, "isa", sizeof(void*), 3, "#");
    class_addIvar(root, "references", sizeof(long), 3, "l");
    class_addIvar(root, "payload", sizeof(void*), 3, "^v");
    add_method(root, "retain", retain_method, "@@:");
    add_method(root, "release", release_method, "v@:");
    add_method(root, "autorelease", autorelease_method, "@@:");
    add_method(root, "retainCount", retain_count, "L@:");
    objc_registerClassPair(root);
    return root;
  }();
  return made;
}

}  // namespace

void misuse(std::string_view function, std::string_view what) {
  std::fprintf(stderr, "stand-in of Apple's frameworks: %.*s: %.*s\n", static_cast<int>(function.size()),
               function.data(), static_cast<int>(what.size()), what.data());
  std::abort();
}

Class define_class(const char* name) {
  if (const Class existing = objc_lookUpClass(name)) return existing;
  const Class made = objc_allocateClassPair(root(), name, 0);
  if (made == nullptr) misuse(name, "cannot be made a class");
  objc_registerClassPair(made);
  return made;
}

id make_object(Class of, Payload* payload) {
  // Not class_createInstance: memory from the runtime would hide from LeakSanitizer who made it.
  auto* made = static_cast<Object*>(std::calloc(1, sizeof(Object)));
  if (made == nullptr) misuse(class_getName(of), "no memory");
  made->isa = of;
  made->references = 1;
  made->payload = payload;
  ++live;
  return reinterpret_cast<id>(made);
}

void retain(id of) {
  if (!is_class(of)) ++object(of)->references;
}

void release(id of) {
  if (is_class(of)) return;
  const long left = --object(of)->references;
  if (left < 0) misuse(class_getName(object(of)->isa), "released once too often");
  if (left > 0) return;
  delete object(of)->payload;
  object(of)->payload = nullptr;
  --live;
  std::free(of);
}

id autorelease(id of) {
  if (of == nullptr || is_class(of)) return of;
  if (pools.begins.empty()) misuse(class_getName(object(of)->isa), "autoreleased without a pool: it would leak");
  pools.objects.push_back(of);
  return of;
}

long live_objects() { return live; }

id make_constant(id of) {
  --live;
  return of;
}

}  // namespace aneval::standin

extern "C" {

// Apple's runtime exports these two; compilers call them for @autoreleasepool.
void* objc_autoreleasePoolPush(void);
void objc_autoreleasePoolPop(void* pool);

void* objc_autoreleasePoolPush(void) {
  auto& pools = aneval::standin::pools;
  pools.begins.push_back(pools.objects.size());
  return reinterpret_cast<void*>(pools.begins.size());
}

void objc_autoreleasePoolPop(void* pool) {
  auto& pools = aneval::standin::pools;
  if (pools.begins.empty() || reinterpret_cast<void*>(pools.begins.size()) != pool)
    aneval::standin::misuse(__func__, "not the innermost pool of this thread");
  const std::size_t begin = pools.begins.back();
  pools.begins.pop_back();
  while (pools.objects.size() > begin) {
    id const last = pools.objects.back();
    pools.objects.pop_back();
    aneval::standin::release(last);
  }
}

}  // extern "C"
