// The reference of each kernel on its own: from its input slots by name to its output blocks by name, in full
// precision. Slots have the shapes in which they lie on the surface (wq_t is [D, Q]).
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "reference/matrix.h"

namespace aneval::reference {

template <class T>
using KernelFunction = std::function<Matrices<T>(const ModelShape&, const Options&, const Matrices<T>&)>;

/// A kernel's reference in both precisions. A kernel from outside the tree brings its own.
struct KernelReference {
  std::string name;
  KernelFunction<double> in_double;
  KernelFunction<float> in_float;
};

class KernelTable {
 public:
  static KernelTable builtin();
  void add(KernelReference reference);
  /// Errors: no reference of that name.
  const KernelReference& find(std::string_view kernel) const;

 private:
  std::vector<KernelReference> references_;
};

}  // namespace aneval::reference
