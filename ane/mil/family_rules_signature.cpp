// Rules about what stands around the operations: dialect, inputs, outputs, names, weight files.
//
// Half of the legacy dialect's syntax is not in a parsed program: whether a string was written string("x") or
// tensor<string, []>("x"). Version and opset are, and stand for it. Limits of a process and of the system (compiles per
// process, loaded programs, failures that taint later ones, versions of macOS) are no property of a text.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "ane/mil/family_rules.h"
#include "common/names.h"

namespace aneval::mil {

namespace {

void find_dialect(const FunctionView& view, const Family& family, const Report& report) {
  const std::string &version = view.program().version, &opset = view.function().opset;
  const bool legacy = version == "1.0" && (opset == "ios15" || opset == "ios16");
  if (!family.legacy_dialect || legacy) return;
  report(view.function().location,
         fmt::format("function '{}': program({}) and {} are refused as an invalid program on {}: write the legacy "
                     "dialect, program(1.0), ios16, tensor<string, []>(\"x\"): `aneval mil emit --dialect legacy` "
                     "(contested: one M1 Max ran the modern dialect, maderix/ANE#3)",
                     view.function().name, version, opset, family.chip));
}

std::string input_names(const Function& function) {
  std::vector<std::string> names;
  for (const Parameter& parameter : function.parameters) names.push_back("'" + parameter.name + "'");
  // Hostile texts have thousands.
  if (names.size() > 4) names.erase(names.begin() + 3, names.end()), names.emplace_back("…");
  return join(names, ", ");
}

/// The place of the second input: the first one is fine.
void find_several_inputs(const FunctionView& view, const Family&, const Report& report) {
  const Function& function = view.function();
  if (function.parameters.size() < 2) return;
  report(
      function.parameters[1].location,
      fmt::format("function '{}': {} inputs ({}): evaluations with several inputs fail; pack them into one surface "
                  "(contested: Orion ran several on M4 Max, with surfaces of one size bound in alphabetical order of "
                  "their names)",
                  function.name, function.parameters.size(), input_names(function)));
}

void find_input_slots(const FunctionView& view, const Family&, const Report& report) {
  const std::vector<Parameter>& inputs = view.function().parameters;
  for (std::size_t i = 1; i < inputs.size(); ++i) {
    const std::int64_t bytes = packed_bytes(inputs[i].type), before = packed_bytes(inputs[i - 1].type);
    if (bytes < before)
      return report(
          inputs[i].location,
          fmt::format("{}: {} bytes after an input of {}: on M1 the sizes of several inputs must not fall, or "
                      "the result is zeros without an error; one packed input avoids it",
                      named(inputs[i]), bytes, before));
    if (inputs[i].type.shape.size() > 3 && inputs[i - 1].type.shape.size() > 3)
      return report(inputs[i].location,
                    fmt::format("{}: on M1 two inputs of rank 4 failed where rank 3 ran; one packed input avoids it",
                                named(inputs[i])));
  }
}

std::int64_t result_bytes(const FunctionView& view, const std::string& result) {
  const ArgumentInfo* info = view.value(result);
  return info == nullptr ? 0 : packed_bytes(info->type);
}

void find_several_outputs(const FunctionView& view, const Family&, const Report& report) {
  const Function& function = view.function();
  if (function.results.size() < 2) return;
  const std::int64_t first = result_bytes(view, function.results.front());
  const bool uniform = std::all_of(function.results.begin(), function.results.end(),
                                   [&](const std::string& result) { return result_bytes(view, result) == first; });
  const bool sorted = std::is_sorted(function.results.begin(), function.results.end());
  report(function.results_location,
         fmt::format("function '{}': {} outputs{}{}: output surfaces must have one size, and are bound in alphabetical "
                     "order of their names, not in that of the text; one concatenated output avoids both",
                     function.name, function.results.size(), uniform ? "" : " of different sizes",
                     sorted ? "" : ", not in alphabetical order"));
}

void find_output_slots(const FunctionView& view, const Family&, const Report& report) {
  const Function& function = view.function();
  for (std::size_t i = 1; i < function.results.size(); ++i) {
    const std::int64_t bytes = result_bytes(view, function.results[i]),
                       before = result_bytes(view, function.results[i - 1]);
    if (bytes > before)
      return report(function.results_location,
                    fmt::format("output '{}': {} bytes after an output of {}: on M1 the sizes of several outputs must "
                                "not rise, or the result is zeros without an error",
                                function.results[i], bytes, before));
  }
}

void find_names(const FunctionView& view, const Family&, const Report& report) {
  static const std::vector<std::string_view> names = {"var", "diff", "mean", "std", "eps",   "x",
                                                      "y",   "mul",  "add",  "c",   "rsqrt", "C"};
  const auto judge = [&](Location location, const std::string& subject, const std::string& name) {
    if (std::find(names.begin(), names.end(), name) != names.end())
      report(location, fmt::format("{}: programs with this name gave zeros without an error on M1 for "
                                   "imperatormk/ane-train (contested: maderix/ANE uses such names)",
                                   subject));
  };
  for (const Parameter& parameter : view.function().parameters)
    judge(parameter.location, named(parameter), parameter.name);
  for (const Operation& operation : view.function().operations)
    judge(operation.location, named(operation), operation.result);
}

void find_shared_file(const FunctionView& view, const Family&, const Report& report) {
  std::map<std::string_view, const BlobFile*> first;
  for (const Operation& operation : view.function().operations) {
    for (const Attribute& attribute : operation.attributes) {
      const auto* file = std::get_if<BlobFile>(&attribute.literal.value);
      if (file == nullptr) continue;
      const auto [at, added] = first.emplace(file->path, file);
      if (added || at->second->offset == file->offset) continue;
      return report(attribute.location,
                    fmt::format("{}: a second blob of '{}': one file of all weights was refused on M1, one file per "
                                "weight ran (contested: the refused files had other faults in their metadata)",
                                named(operation), file->path));
    }
  }
}

}  // namespace

std::vector<FamilyRule> signature_rules() {
  constexpr Severity kError = Severity::error, kWarning = Severity::warning;
  return {
      {"dialect", kError, Symptom::compile, kH13 | kH14, 0,
       "program(1.3) or ios18, where only program(1.0) with ios16 is understood (contested)",
       "maderix/ANE#6 (M1 Pro, M2); contested by maderix/ANE#3 (M1 Max)", find_dialect},
      {"several-inputs", kError, Symptom::eval, kH15 | kH16, kH14 | kH17 | kH18, "more than one input (contested)",
       "maderix/ANE README (M4), lil-bro (M3 Max); contested by Orion constraints 12 and 13 (M4 Max)",
       find_several_inputs},
      {"input-slots", kWarning, Symptom::silent, kH13, 0,
       "several inputs whose sizes fall from one to the next, or of rank 4", "imperatormk/ane-train (M1, M1 Pro)",
       find_input_slots},
      {"several-outputs", kWarning, Symptom::silent, kH16, kH13 | kH14 | kH15 | kH17 | kH18,
       "more than one output: sizes must be equal, the order is alphabetical", "Orion constraints 2 and 3 (M4 Max)",
       find_several_outputs},
      {"output-slots", kWarning, Symptom::silent, kH13, 0, "several outputs whose sizes rise from one to the next",
       "imperatormk/ane-train (M1, M1 Pro)", find_output_slots},
      {"variable-name", kWarning, Symptom::silent, kH13, 0,
       "a value named var, diff, mean, std, eps, x, y, mul, add, c, rsqrt or C (contested)",
       "imperatormk/ane-train (M1); contested by maderix/ANE", find_names},
      {"shared-weight-file", kWarning, Symptom::compile, kH13, 0, "several weights in one file (contested)",
       "maderix/ANE benchmark report (M1: single-blob weights fail)", find_shared_file},
  };
}

}  // namespace aneval::mil
