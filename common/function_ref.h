// A reference to something callable, for parameters that are only called while the function runs: unlike
// std::function it never allocates, whatever a lambda captures.
#pragma once

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

namespace aneval {

template <class Signature>
class FunctionRef;

/// Does not keep what it refers to alive: take it as a parameter, never store it.
template <class Result, class... Arguments>
class FunctionRef<Result(Arguments...)> {
 public:
  template <class Callable>
    requires(!std::same_as<std::remove_cvref_t<Callable>, FunctionRef> &&
             std::is_invocable_r_v<Result, Callable&, Arguments...>)
  FunctionRef(Callable&& callable)  // NOLINT(google-explicit-constructor): call sites pass lambdas
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(callable)))),
        call_([](void* object, Arguments... arguments) -> Result {
          return (*static_cast<std::remove_reference_t<Callable>*>(object))(std::forward<Arguments>(arguments)...);
        }) {}

  Result operator()(Arguments... arguments) const { return call_(object_, std::forward<Arguments>(arguments)...); }

 private:
  void* object_;
  Result (*call_)(void* object, Arguments... arguments);
};

}  // namespace aneval
