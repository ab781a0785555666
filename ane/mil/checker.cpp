#include "ane/mil/checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "ane/mil/ops.h"
#include "common/error.h"
#include "common/names.h"

namespace aneval::mil {

namespace {

template <class List>
bool contains(const List& list, std::string_view key) {
  return std::find(list.begin(), list.end(), key) != list.end();
}

std::optional<ane::BlobType> blob_type(DType dtype) {
  switch (dtype) {
    case DType::fp16:
      return ane::BlobType::fp16;
    case DType::fp32:
      return ane::BlobType::fp32;
    case DType::int32:
      return ane::BlobType::int32;
    case DType::int8:
      return ane::BlobType::int8;
    case DType::uint8:
      return ane::BlobType::uint8;
    case DType::uint64:
    case DType::boolean:
    case DType::string:
      break;
  }
  return std::nullopt;
}

/// Whether an integer dtype has the number; floating-point literals were rounded when they were read.
bool representable(double value, DType dtype) {
  const auto within = [&](double low, double high) {
    return value >= low && value <= high && value == std::trunc(value);
  };
  switch (dtype) {
    case DType::int32:
      return within(-0x1p31, 0x1p31 - 1);
    case DType::int8:
      return within(-128, 127);
    case DType::uint8:
      return within(0, 255);
    case DType::uint64:
      return within(0, 0x1p53);
    case DType::boolean:
      return within(0, 1);
    default:
      return std::isfinite(value);
  }
}

class FunctionChecker {
 public:
  FunctionChecker(const Function& function, const ane::WeightFiles* weights, std::vector<Finding>& findings)
      : function_(function), weights_(weights), findings_(findings) {}

  void run() {
    for (const Operation& operation : function_.operations)
      definitions_.try_emplace(operation.result, operation.location);
    for (const Parameter& parameter : function_.parameters)
      if (!scope_.add(parameter))
        error(parameter.location, "duplicate-parameter", "parameter '" + parameter.name + "' is declared twice");
    for (const Operation& each : function_.operations) operation(each);
    for (const std::string& result : function_.results)
      if (scope_.find(result) == nullptr)
        error(function_.results_location, "result-undefined", "result '" + result + "' is not defined");
  }

 private:
  void error(Location location, std::string rule, std::string text) {
    findings_.push_back({Severity::error, location, std::move(rule), std::move(text)});
  }

  static std::string named(const Operation& operation) { return operation.op + " '" + operation.result + "'"; }

  void operation(const Operation& operation) {
    const OpDefinition* definition = find_op(operation.op);
    bool sound = attributes(operation, definition);
    if (definition == nullptr) {
      std::vector<std::string> known;
      for (const OpDefinition& each : op_definitions()) known.emplace_back(each.name);
      const std::string near = nearest_name(operation.op, known);
      error(operation.location, "unknown-op",
            "operation '" + operation.op + "' is unknown" + (near.empty() ? "" : ", did you mean '" + near + "'?"));
    } else {
      sound &= arguments(operation, *definition);
      if (sound) sound = inferred_type(operation, *definition);
      // What a wrong value is used for would only repeat the finding.
      if (!sound) unreliable_.insert(operation.result);
    }
    if (!scope_.add(operation))
      error(operation.location, "duplicate-identifier", "'" + operation.result + "' is defined twice");
  }

  /// False when the operation cannot be inferred from its attributes.
  bool attributes(const Operation& operation, const OpDefinition* definition) {
    bool sound = true;
    const bool data = definition != nullptr && definition->from_attributes;
    for (std::size_t i = 0; i < operation.attributes.size(); ++i) {
      const Attribute& attribute = operation.attributes[i];
      if (operation.attribute(attribute.key) != &attribute) {
        error(attribute.location, "duplicate-argument",
              named(operation) + ": '" + attribute.key + "' stands there twice");
        sound = false;
        continue;
      }
      if (attribute.key == "name") {
        if (!std::holds_alternative<std::string>(attribute.literal.value))
          error(attribute.location, "bad-attribute", named(operation) + ": the name must be a string");
      } else if (data && contains(definition->required, attribute.key)) {
        sound &= literal(operation, attribute);
      } else if (definition != nullptr) {
        findings_.push_back({Severity::warning, attribute.location, "unknown-attribute",
                             named(operation) + ": attribute '" + attribute.key + "' means nothing here"});
      }
    }
    return sound;
  }

  bool literal(const Operation& operation, const Attribute& attribute) {
    const TensorType& type = attribute.literal.type;
    const std::string subject = named(operation) + ": '" + attribute.key + "' ";
    const std::optional<std::int64_t> count = element_count(type.shape);
    const auto bad = [&](std::string_view rule, const std::string& text) {
      error(attribute.location, std::string(rule), subject + text);
      return false;
    };
    if (const auto* values = std::get_if<std::vector<double>>(&attribute.literal.value)) {
      if (type.dtype == DType::string) return bad("bad-constant", "must be a string");
      if (count != static_cast<std::int64_t>(values->size()))
        return bad("bad-constant", fmt::format("has {} values for {}", values->size(), type_text(type)));
      for (const double value : *values)
        if (!representable(value, type.dtype))
          return bad("bad-constant", fmt::format("holds {}, which is no {}", value, dtype_name(type.dtype)));
      return true;
    }
    if (std::holds_alternative<std::string>(attribute.literal.value))
      return type.dtype == DType::string && type.shape.empty()
                 ? true
                 : bad("bad-constant", "is a string, not " + type_text(type));
    return blob(std::get<BlobFile>(attribute.literal.value), type,
                [&](const std::string& text) { return bad("bad-blob", text); });
  }

  template <class Bad>
  bool blob(const BlobFile& file, const TensorType& type, const Bad& bad) const {
    const std::optional<ane::BlobType> wanted = blob_type(type.dtype);
    if (!wanted) return bad("cannot be in a weight file: it is " + type_text(type));
    if (weights_ == nullptr) return true;
    const auto found = weights_->find(file.path);
    if (found == weights_->end()) return bad("names the weight file '" + file.path + "', which does not exist");
    try {
      const auto bytes = static_cast<std::uint64_t>(type.elements() * dtype_bytes(type.dtype));
      const ane::Blob view = ane::read_blob(found->second, file.offset, bytes, file.path);
      if (view.type != *wanted)
        return bad(fmt::format("is {}, but its blob in '{}' is of type {}", type_text(type), file.path,
                               static_cast<std::uint32_t>(view.type)));
    } catch (const Error& failure) {
      return bad("has a bad blob: " + failure.subject() + ": " + failure.reason());
    }
    return true;
  }

  /// The keys of the operation, and that every identifier has a meaning. False when inference would stumble over them.
  bool arguments(const Operation& operation, const OpDefinition& definition) {
    bool sound = true;
    const auto bad = [&](Location location, std::string_view rule, const std::string& text) {
      error(location, std::string(rule), named(operation) + ": " + text);
      sound = false;
    };
    for (const Argument& argument : operation.arguments) {
      const bool known = !definition.from_attributes &&
                         (contains(definition.required, argument.key) || contains(definition.optional, argument.key));
      if (!known)
        bad(argument.location, "unknown-argument", "'" + argument.key + "' is not one of " + key_list(definition));
      else if (operation.find(argument.key) != &argument)
        bad(argument.location, "duplicate-argument", "'" + argument.key + "' stands there twice");
      else if (argument.tuple && argument.key != definition.tuple_key)
        bad(argument.location, "bad-argument", "'" + argument.key + "' takes one value, not a tuple");
      for (const std::string& identifier : argument.values) {
        if (scope_.find(identifier) == nullptr)
          bad(argument.location, "undefined-identifier", "'" + identifier + "' is " + undefined(identifier));
        else if (unreliable_.contains(identifier))
          sound = false;
      }
    }
    for (const std::string_view key : definition.required) {
      const bool given =
          definition.from_attributes ? operation.attribute(key) != nullptr : operation.find(key) != nullptr;
      if (!given) bad(operation.location, "missing-argument", "'" + std::string(key) + "' is missing");
    }
    return sound;
  }

  static std::string key_list(const OpDefinition& definition) {
    std::vector<std::string> keys(definition.required.begin(), definition.required.end());
    keys.insert(keys.end(), definition.optional.begin(), definition.optional.end());
    return definition.from_attributes ? "its arguments: it has none" : join(keys, ", ");
  }

  std::string undefined(const std::string& identifier) const {
    const auto later = definitions_.find(identifier);
    if (later == definitions_.end()) return "not defined";
    return fmt::format("used before its definition in line {}", later->second.line);
  }

  bool inferred_type(const Operation& operation, const OpDefinition& definition) {
    const auto place = [&](const std::string& key) {
      if (const Argument* argument = operation.find(key)) return argument->location;
      if (const Attribute* attribute = operation.attribute(key)) return attribute->location;
      return operation.location;
    };
    try {
      const TensorType type = definition.infer(resolve_arguments(scope_, operation));
      if (type == operation.type) return true;
      error(operation.location, "type-mismatch",
            named(operation) + ": declared " + type_text(operation.type) + ", but the result is " + type_text(type));
    } catch (const NonConstantArgument& failure) {
      error(place(failure.key), "non-constant-argument", named(operation) + ": " + failure.what());
    } catch (const InferenceError& failure) {
      error(place(failure.key), "bad-argument", named(operation) + ": " + failure.what());
    }
    return false;
  }

  const Function& function_;
  const ane::WeightFiles* weights_;
  std::vector<Finding>& findings_;
  Scope scope_;
  std::unordered_map<std::string_view, Location> definitions_;
  std::unordered_set<std::string_view> unreliable_;
};

}  // namespace

const std::vector<CheckRule>& check_rules() {
  constexpr Severity kError = Severity::error;
  static const std::vector<CheckRule> rules = {
      {"no-main", kError, "no function that can run: none is called main, and there is not exactly one"},
      {"duplicate-function", kError, "two functions of the same name"},
      {"duplicate-parameter", kError, "two parameters of the same name"},
      {"duplicate-identifier", kError, "an identifier is defined twice"},
      {"undefined-identifier", kError, "an argument names nothing that was defined before"},
      {"result-undefined", kError, "the function returns what it does not define"},
      {"unknown-op", kError, "an operation that this project does not know"},
      {"missing-argument", kError, "a required argument is missing"},
      {"unknown-argument", kError, "an argument that the operation does not have"},
      {"duplicate-argument", kError, "an argument or attribute stands there twice"},
      {"bad-argument", kError, "an argument whose type, shape or value does not fit the operation"},
      {"non-constant-argument", kError, "an argument that has to be a constant of the text is none"},
      {"type-mismatch", kError, "the declared type is not the one that follows from the arguments"},
      {"bad-constant", kError, "a constant with a wrong number of values, or values outside of its type"},
      {"bad-blob", kError, "a weight file is missing, malformed, or holds something else"},
      {"bad-attribute", kError, "an attribute of a wrong type"},
      {"unknown-attribute", Severity::warning, "an attribute that this project does not know"},
  };
  return rules;
}

std::vector<Finding> check(const Program& program, const ane::WeightFiles* weights) {
  std::vector<Finding> findings;
  std::unordered_set<std::string_view> names;
  const bool several = program.functions.size() > 1;
  const auto is_main = [](const Function& function) { return function.name == "main"; };
  if (program.functions.empty() ||
      (several && std::none_of(program.functions.begin(), program.functions.end(), is_main)))
    findings.push_back({Severity::error,
                        program.functions.empty() ? Location{1, 1} : program.functions.front().location, "no-main",
                        "no function is named main"});
  for (const Function& function : program.functions) {
    if (!names.insert(function.name).second)
      findings.push_back({Severity::error, function.location, "duplicate-function",
                          "function '" + function.name + "' is defined twice"});
    FunctionChecker(function, weights, findings).run();
  }
  return findings;
}

std::string finding_text(const Program& program, const Finding& finding) {
  return fmt::format("{}:{}:{}: {}: {} [{}]", program.file, finding.location.line, finding.location.column,
                     finding.severity == Severity::error ? "error" : "warning", finding.text, finding.rule);
}

void check_or_throw(const Program& program, const ane::WeightFiles* weights) {
  const std::vector<Finding> findings = check(program, weights);
  const auto is_error = [](const Finding& finding) { return finding.severity == Severity::error; };
  const auto first = std::find_if(findings.begin(), findings.end(), is_error);
  if (first == findings.end()) return;
  const auto further = std::count_if(first + 1, findings.end(), is_error);
  throw input_error(fmt::format("{}:{}:{}", program.file, first->location.line, first->location.column),
                    first->text + (further > 0 ? fmt::format(" (and {} more errors)", further) : ""),
                    "`aneval mil check` lists all findings");
}

}  // namespace aneval::mil
