#include "bench/benchmark.h"

#include <stdexcept>

#include "common/vocabulary.h"

namespace aneval::bench {

Record fact(const Record& row, std::string_view metric, double value) {
  const MetricName* name = find_metric(metric);
  if (name == nullptr) throw std::logic_error("no metric is called " + std::string(metric));
  Record result = row;
  result.metric = name->name;
  result.unit = name->unit;
  result.value = value;
  return result;
}

Record fact(const Record& row, std::string_view metric, std::string text) {
  Record result = fact(row, metric, 0.0);
  result.value.reset();
  result.text = std::move(text);
  return result;
}

}  // namespace aneval::bench
