#include "reports/gate/ab_environment.h"

#include <array>

#include "common/error.h"

namespace aneval::gate {
namespace {

using Json = nlohmann::ordered_json;

struct Field {
  const char* name;     // in messages and journals
  const char* pointer;  // in doctor's JSON
};

constexpr std::array<Field, 10> kFields = {{{"chip", "/chip"},
                                            {"OS", "/os"},
                                            {"virtual machine", "/virtual_machine"},
                                            {"build", "/build"},
                                            {"compiler", "/compiler"},
                                            {"backend", "/backend"},
                                            {"SIMD level", "/simd"},
                                            {"matrix products", "/blas"},
                                            {"power source", "/power/source"},
                                            {"low power mode", "/power/low_power"}}};

}  // namespace

Json parse_environment(const std::filesystem::path& executable, const std::string& printed) {
  const Json json = Json::parse(printed, nullptr, false);
  if (!json.is_object() || !json.contains("commit") || !json.contains("build"))
    throw input_error(executable.string(), "does not answer `doctor --json` as aneval does",
                      "name two builds of aneval");
  return json;
}

Json environment_fields(const Json& environment) {
  Json fields = Json::object();
  for (const Field& field : kFields) {
    const Json::json_pointer pointer(field.pointer);
    const Json value = environment.contains(pointer) ? environment.at(pointer) : Json();
    fields[field.name] = value.is_string() ? value.get<std::string>() : value.is_null() ? "unknown" : value.dump();
  }
  return fields;
}

std::vector<std::string> environment_differences(const Json& a, const Json& b) {
  std::vector<std::string> differences;
  const Json of_a = environment_fields(a), of_b = environment_fields(b);
  for (const Field& field : kFields)
    if (of_a[field.name] != of_b[field.name])
      differences.push_back(std::string(field.name) + " is " + of_a[field.name].get<std::string>() + " in A and " +
                            of_b[field.name].get<std::string>() + " in B");
  return differences;
}

}  // namespace aneval::gate
