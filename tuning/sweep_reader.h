// A sweep's file while it is read: what its keys must hold. Every error names file and key.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tuning/sweep_file.h"

namespace aneval::tuning {

/// A file and where it lies, with what its values are asked for.
struct SweepReader {
  using Json = nlohmann::ordered_json;

  const std::string& where;
  const std::filesystem::path& folder;  // where model files with a relative path lie

  [[noreturn]] void fail(const std::string& key, const std::string& reason, const std::string& remedy) const;
  /// `object` is one, and has no keys but the known ones.
  void only(const Json& object, const std::string& key, const std::vector<std::string>& known) const;
  /// Numbers and texts alike: "seq": [64, "128"].
  std::string value_text(const Json& value, const std::string& key) const;
  double number(const Json& value, const std::string& key, double least) const;
  std::int64_t count(const Json& value, const std::string& key, std::int64_t least) const;
};

/// The file's "constraints", for a sweep that has its axes (sweep_constraints.cpp).
std::vector<Constraint> read_constraints(const SweepReader& read, const SweepReader::Json& list,
                                         const std::vector<Axis>& axes);

}  // namespace aneval::tuning
