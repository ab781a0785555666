#include "tuning/sweep_reader.h"

#include <algorithm>

#include "common/error.h"
#include "common/names.h"

namespace aneval::tuning {

void SweepReader::fail(const std::string& key, const std::string& reason, const std::string& remedy) const {
  throw input_error(where + ": " + key, reason, remedy);
}

void SweepReader::only(const Json& object, const std::string& key, const std::vector<std::string>& known) const {
  if (!object.is_object()) fail(key, "is no object", "write {...}");
  for (const auto& [name, value] : object.items())
    if (std::ranges::find(known, name) == known.end())
      unknown_name(where + ": key" + (key.empty() ? "" : " of " + key), name, known);
}

std::string SweepReader::value_text(const Json& value, const std::string& key) const {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_integer()) return value.dump();
  if (value.is_number()) return number_text(value.get<double>());
  fail(key, "holds " + value.dump() + ", which is neither a text nor a number", "give texts or numbers");
}

double SweepReader::number(const Json& value, const std::string& key, double least) const {
  if (!value.is_number() || !(value.get<double>() >= least))
    fail(key, value.dump() + " is no number from " + number_text(least) + " on", "give such a number");
  return value.get<double>();
}

std::int64_t SweepReader::count(const Json& value, const std::string& key, std::int64_t least) const {
  if (!value.is_number_integer() || value.get<std::int64_t>() < least)
    fail(key, value.dump() + " is no whole number from " + std::to_string(least) + " on", "give such a number");
  return value.get<std::int64_t>();
}

}  // namespace aneval::tuning
