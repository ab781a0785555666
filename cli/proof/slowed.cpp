// An aneval whose evaluations of one kernel take 10 % longer, for gate_proof.py. The linker puts this wrapper in front
// of Device::evaluate (--wrap); no product code knows of it.
#include "ane/device.h"
#include "common/stopwatch.h"

namespace aneval::ane {

void real_evaluate(Device* device, Request& request) asm("__real__ZN6aneval3ane6Device8evaluateERNS0_7RequestE");
void wrapped_evaluate(Device* device, Request& request) asm("__wrap__ZN6aneval3ane6Device8evaluateERNS0_7RequestE");

void wrapped_evaluate(Device* device, Request& request) {
  const Stopwatch watch;
  real_evaluate(device, request);
  if (request.executable()->name() != "woFwd") return;
  const std::int64_t end = watch.ns() * 11 / 10;
  while (watch.ns() < end) {
  }
}

}  // namespace aneval::ane
