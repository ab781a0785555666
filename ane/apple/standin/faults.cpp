#include "ane/apple/standin/faults.h"

#include <CoreFoundation/CoreFoundation.h>
#include <objc/objc-exception.h>

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ane/apple/standin/io_surface.h"
#include "ane/apple/standin/object.h"

namespace aneval::standin {
namespace {

struct Planned {
  std::string selector;
  Fault fault;
  long at;  // call, from 1; 0 for every one
  long calls = 0;
};

Fault parse_kind(std::string_view name) {
  constexpr std::pair<std::string_view, Fault> kinds[] = {
      {"fail", Fault::fail}, {"silent", Fault::silent},   {"nil", Fault::no_object},  {"raise", Fault::raise},
      {"hang", Fault::hang}, {"nothing", Fault::nothing}, {"missing", Fault::missing}};
  for (const auto& [known, fault] : kinds)
    if (known == name) return fault;
  misuse(name, "is no kind of fault");
}

Planned parse_one(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) misuse(text, "is no fault: SELECTOR=KIND");
  std::string_view kind = text.substr(equals + 1);
  long at = 0;
  if (const std::size_t sign = kind.find('@'); sign != std::string_view::npos) {
    const std::string_view number = kind.substr(sign + 1);
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), at);
    if (error != std::errc() || end != number.data() + number.size() || at < 1) misuse(text, "@ wants a number from 1");
    kind = kind.substr(0, sign);
  }
  return {std::string(text.substr(0, equals)), parse_kind(kind), at};
}

std::vector<Planned> parse(std::string_view text) {
  std::vector<Planned> plan;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(';'), text.size());
    if (end > 0) plan.push_back(parse_one(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return plan;
}

struct Plan {
  std::mutex mutex;
  std::vector<Planned> faults;
};

Plan& plan() {
  static Plan made = {{}, [] {
                        const char* text = std::getenv("ANEVAL_STANDIN_FAULTS");
                        return parse(text != nullptr ? text : "");
                      }()};
  return made;
}

[[noreturn]] void raise_exception() {
  static const CFStringRef domain = constant_string("NSGenericException");
  objc_exception_throw(autorelease(reinterpret_cast<id>(CFErrorCreate(kCFAllocatorDefault, domain, 0, nullptr))));
  std::abort();
}

[[noreturn]] void hang() {
  for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

}  // namespace

void set_faults(std::string_view text) {
  std::vector<Planned> faults = parse(text);
  const std::lock_guard lock(plan().mutex);
  plan().faults = std::move(faults);
}

Fault next_fault(std::string_view selector) {
  Fault found = Fault::none;
  {
    const std::lock_guard lock(plan().mutex);
    for (Planned& planned : plan().faults)
      if (planned.selector == selector && ++planned.calls >= 1 && (planned.at == 0 || planned.at == planned.calls))
        found = planned.fault;
  }
  if (found == Fault::raise) raise_exception();
  if (found == Fault::hang) hang();
  return found;
}

bool is_missing(std::string_view name) {
  const std::lock_guard lock(plan().mutex);
  for (const Planned& planned : plan().faults)
    if (planned.selector == name && planned.fault == Fault::missing) return true;
  return false;
}

}  // namespace aneval::standin
