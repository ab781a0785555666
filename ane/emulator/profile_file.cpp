#include "ane/emulator/profile_file.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/files.h"
#include "common/json_check.h"

namespace aneval::emulator {
namespace {

using Json = nlohmann::json;

constexpr std::uintmax_t kFileLimitBytes = std::uintmax_t{1} << 26;
constexpr const char* kProbeAgain = "write it anew with `aneval probe --out FILE.json`";

Json parse_file(const std::filesystem::path& file) {
  return parse_json<Json>(read_text_file(file, kFileLimitBytes), file.string(), kProbeAgain);
}

/// The text of a member; empty when there is none.
std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// "NAME:rule=value;…" of the rules that the profile does not have from its base.
std::string settings_text(const Profile& profile, const Profile& base) {
  std::string text;
  for (const Rule rule : all_rules()) {
    if (!is_setting(rule) || rule_value(profile, rule).name == rule_value(base, rule).name) continue;
    text += text.empty() ? ':' : ';';
    text.append(rule_name(rule)).append("=").append(rule_value(profile, rule).name);
  }
  if (profile.measured_sigmoid != nullptr) text += text.empty() ? ":sigmoid=measured" : ";sigmoid=measured";
  return base.name + text;
}

class Reader {
 public:
  explicit Reader(const std::filesystem::path& file) : file_(file.string()), json_(parse_file(file)) {
    if (!json_.is_object() || json_.value("kind", Json()) != "aneval probe")
      throw input_error(file_, "is no file of `aneval probe`", kProbeAgain);
    if (json_.value("schema", Json()) != kProfileFileSchema)
      throw input_error(file_,
                        "has schema " + json_.value("schema", Json()).dump() + ", this version reads " +
                            std::to_string(kProfileFileSchema),
                        kProbeAgain);
    rules_ = json_.value("rules", Json::object());
    if (!rules_.is_object() || rules_.empty())
      throw input_error(file_, "has no rules", "probe them: `aneval probe` without --only, or with --only numerics");
    for (const auto& [name, entry] : rules_.items()) {
      try {
        (void)find_rule(name);
      } catch (const Error& error) {
        throw input_error(file_, error.subject() + " " + error.reason(), kProbeAgain);
      }
    }
  }

  Profile read() const {
    const Profile base = base_profile();
    Profile profile = base;
    for (const Rule rule : all_rules())
      if (const std::string value = value_of(rule); !value.empty() && is_setting(rule))
        set_rule(profile, rule, value, subject(rule));
    if (value_of(Rule::sigmoid) == "measured") profile.measured_sigmoid = sigmoid_table(profile);
    for (const Rule rule : all_rules()) {
      const std::string value = value_of(rule);
      if (!value.empty()) check(profile, rule, value);
      if (text_of(json_, "backend") == "apple") profile.grounds[static_cast<std::size_t>(rule)] = ground(base, value);
    }
    profile.name = settings_text(profile, base);
    return profile;
  }

 private:
  std::string subject(Rule rule) const { return file_ + ": rule " + std::string(rule_name(rule)); }

  Profile base_profile() const {
    const std::string name = text_of(json_, "base");
    const Profile* found = builtin_profile(name);
    if (found == nullptr)
      throw input_error(file_, "its base '" + name + "' is no built-in profile",
                        "choose one of `aneval list profiles`");
    return *found;
  }

  /// Empty when the probe found none.
  std::string value_of(Rule rule) const {
    const auto entry = rules_.find(rule_name(rule));
    if (entry == rules_.end() || !entry->is_object() || !entry->contains("value"))
      throw input_error(subject(rule), "has no value", kProbeAgain);
    const Json& value = entry->at("value");
    if (!value.is_null() && (!value.is_string() || value.get<std::string>().empty()))
      throw input_error(subject(rule), value.dump() + " is neither a name nor null", kProbeAgain);
    return value.is_null() ? std::string() : value.get<std::string>();
  }

  std::shared_ptr<const std::array<float, 65536>> sigmoid_table(const Profile& profile) const {
    if (profile.functions != Functions::tables)
      throw input_error(subject(Rule::sigmoid), "is measured, and " + profile.name + " has no tables",
                        "name a chip's profile as the base");
    const Json tables = rules_.at(std::string(rule_name(Rule::sigmoid))).value("tables", Json::object());
    const auto table = growing_table(parse_hex(tables.is_object() ? text_of(tables, "sigmoid") : std::string()));
    if (table == nullptr)
      throw input_error(subject(Rule::sigmoid), "its table is no growing one of 65536 numbers", kProbeAgain);
    return table;
  }

  /// What follows from other rules must be what was measured.
  void check(const Profile& profile, Rule rule, const std::string& value) const {
    const auto& values = rule_values(rule);
    if (std::none_of(values.begin(), values.end(), [&](const RuleValue& v) { return v.name == value; }))
      throw input_error(subject(rule), "'" + value + "' is no value of it", kProbeAgain);
    const std::string_view computed = rule_value(profile, rule).name;
    if (computed != value)
      throw input_error(subject(rule),
                        "'" + value + "' does not go with the other rules: the emulator computes '" +
                            std::string(computed) + "' beside them",
                        "validate under the nearest built-in profile, --profile " + profile.name);
  }

  Ground ground(const Profile& base, const std::string& value) const {
    const std::string probe =
        "aneval probe on " + text_of(json_, "chip") + ", " + text_of(json_, "os") + ", " + text_of(json_, "date");
    if (value.empty()) return {Evidence::unmeasured, probe + ": nothing known fitted; as " + base.name};
    return {Evidence::measured, probe};
  }

  std::string file_;
  Json json_, rules_;
};

}  // namespace

std::string hex_text(std::span<const ane::half_t> bits) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(4 * bits.size());
  for (const ane::half_t value : bits)
    for (const int shift : {12, 8, 4, 0}) text += kDigits[static_cast<std::size_t>(value >> shift & 0xF)];
  return text;
}

std::vector<ane::half_t> parse_hex(std::string_view text) {
  if (text.size() % 4 != 0) return {};
  std::vector<ane::half_t> bits(text.size() / 4);
  for (std::size_t i = 0; i < bits.size(); ++i) {
    const char* end = text.data() + 4 * i + 4;
    if (std::from_chars(end - 4, end, bits[i], 16).ptr != end) return {};
  }
  return bits;
}

std::shared_ptr<const std::array<float, 65536>> growing_table(std::span<const ane::half_t> bits) {
  constexpr std::size_t kFinite = 0x7C00, kSign = 0x8000;
  if (bits.size() != 2 * kSign) return nullptr;
  auto table = std::make_shared<std::array<float, 65536>>();
  for (const std::size_t sign : {std::size_t{0}, kSign}) {
    for (std::size_t i = 0; i < kSign; ++i) {
      const ane::half_t value = bits[sign + std::min(i, kFinite - 1)];
      if ((value & kFinite) == kFinite) return nullptr;
      (*table)[sign + i] = ane::to_float(value);
    }
    for (std::size_t i = 1; i < kFinite; ++i) {
      const float nearer = (*table)[sign + i - 1], farther = (*table)[sign + i];
      if (sign == 0 ? farther < nearer : farther > nearer) return nullptr;
    }
  }
  return (*table)[kSign] <= (*table)[0] ? table : nullptr;
}

bool is_profile_file(std::string_view text) { return text.ends_with(".json"); }

Profile read_profile_file(const std::filesystem::path& file) { return Reader(file).read(); }

}  // namespace aneval::emulator
