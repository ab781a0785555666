// The stand-in of Apple's frameworks is strict: what would be undefined there ends the process here.
#include <CoreFoundation/CoreFoundation.h>
#include <IOSurface/IOSurfaceRef.h>
#include <gmock/gmock.h>
#include <objc/message.h>
#include <objc/runtime.h>

#include "ane/apple/io_surface.h"
#include "ane/apple/objc.h"
#include "ane/apple/standin/object.h"

extern "C" long aneval_standin_live_objects(void);

namespace aneval::apple {
namespace {

TEST(Platform, TextsNumbersAndDictionariesComeBack) {
  const long before = aneval_standin_live_objects();
  {
    const auto text = make_string("Grüße");
    EXPECT_EQ(text_of(text.get()), "Grüße");
    EXPECT_EQ(text_of(make_string("").get()), "");
    const auto key = make_string("key"), same = make_string("key"), other = make_string("other");
    const auto number = make_number(-5);
    const auto dictionary = make_dictionary({key.get()}, {number.get()});
    EXPECT_EQ(CFDictionaryGetCount(dictionary.get()), 1);
    EXPECT_EQ(CFDictionaryGetValue(dictionary.get(), same.get()), number.get());
    EXPECT_EQ(CFDictionaryGetValue(dictionary.get(), other.get()), nullptr);
    std::int64_t value = 0;
    CFNumberGetValue(number.get(), kCFNumberSInt64Type, &value);
    EXPECT_EQ(value, -5);
    const auto array = make_array({key.get(), number.get()});
    EXPECT_EQ(CFArrayGetCount(array.get()), 2);
    EXPECT_EQ(CFArrayGetValueAtIndex(array.get(), 1), number.get());
  }
  EXPECT_EQ(aneval_standin_live_objects(), before);
}

TEST(Platform, ReferencesAndPoolsReleaseOnce) {
  const long before = aneval_standin_live_objects();
  {
    const auto first = make_number(1);
    const auto second = Ref<CFNumberRef>::retain(first.get());
    EXPECT_EQ(aneval_standin_live_objects(), before + 1);
    const AutoreleasePool outer;
    {
      const AutoreleasePool inner;
      EXPECT_FALSE(temporary_folder().empty());
      EXPECT_EQ(aneval_standin_live_objects(), before + 1);
    }
  }
  EXPECT_EQ(aneval_standin_live_objects(), before);
}

long sum(id, SEL, int a, long b, int c, long d, int e, double f, long g) {
  return a + b * 10 + c * 100 + d * 1000 + e * 10000 + static_cast<long>(f * 100000) + g * 1000000;
}

// More arguments than registers, and a floating one: all must arrive.
TEST(Platform, AMessageHasAllItsArguments) {
  const Class made = standin::define_class("MessageTest");
  standin::add_class_method(made, "sum:of:all:these:many:fine:numbers:", sum, "l@:ililidl");
  const long total = send<long, int, long, int, long, int, double, long>(made, "sum:of:all:these:many:fine:numbers:", 1,
                                                                         2, 3, 4, 5, 6.0, 7);
  EXPECT_EQ(total, 7654321);
  EXPECT_THROW(send<void>(made, "nobodyHasThis"), CallError);
  EXPECT_THROW(send<void>(nullptr, "anything"), CallError);
}

TEST(Platform, SurfacesAreZeroWholePagesAndLocked) {
  const AutoreleasePool pool;
  IoSurface surface(100);
  EXPECT_EQ(surface.bytes(), 100U);
  EXPECT_EQ(IOSurfaceGetAllocSize(surface.get()), 16384U);
  {
    const ane::ReadLock lock(surface), second(surface);
    EXPECT_EQ(lock.bytes().size(), 100U);
    for (const std::byte value : lock.bytes()) EXPECT_EQ(value, std::byte{0});
  }
  EXPECT_DEATH(IOSurfaceGetBaseAddress(surface.get()), "not locked");
  EXPECT_DEATH(IOSurfaceUnlock(surface.get(), 0, nullptr), "not locked with these options");
  EXPECT_EQ(IOSurfaceCreate(make_dictionary({}, {}).get()), nullptr);
}

TEST(PlatformDeathTest, WrongUseEndsTheProcess) {
  EXPECT_DEATH(CFRelease(nullptr), "null object");
  EXPECT_DEATH(
      {
        const auto number = make_number(1);
        CFRelease(number.get());
        CFRelease(number.get());
      },
      "");
  EXPECT_DEATH(CFDataGetLength(reinterpret_cast<CFDataRef>(make_number(1).get())), "another class");
  EXPECT_DEATH(standin::autorelease(reinterpret_cast<id>(const_cast<__CFNumber*>(make_number(1).get()))),
               "without a pool");
}

}  // namespace
}  // namespace aneval::apple
