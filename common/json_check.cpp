#include "common/json_check.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "common/error.h"

namespace aneval {
namespace {

using Json = nlohmann::json;

/// Listens to the parser and stops it at the first repeated key.
class OutermostKeys : public nlohmann::json_sax<Json> {
 public:
  const std::optional<std::string>& repeated() const { return repeated_; }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return ++depth_ > 0; }
  bool end_object() override { return depth_-- > 0; }
  bool start_array(std::size_t) override { return ++depth_ > 0; }
  bool end_array() override { return depth_-- > 0; }
  bool key(string_t& key) override {
    if (depth_ != 1 || seen_.insert(key).second) return true;
    repeated_ = key;
    return false;
  }
  bool parse_error(std::size_t, const std::string&, const Json::exception&) override { return false; }

 private:
  int depth_ = 0;
  std::set<std::string> seen_;
  std::optional<std::string> repeated_;
};

}  // namespace

std::optional<std::string> repeated_json_key(std::string_view text) {
  OutermostKeys keys;
  Json::sax_parse(text.begin(), text.end(), &keys);
  return keys.repeated();
}

void check_json_depth(std::string_view text, std::string_view where) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\')
      ++i;  // whatever it is, it ends no string
    else if (c == '"')
      quoted = !quoted;
    else if (!quoted && (c == '[' || c == '{') && ++depth > kMaxJsonDepth)
      throw input_error(std::string(where), "nests lists or objects deeper than " + std::to_string(kMaxJsonDepth),
                        "check that this is the intended file");
    else if (!quoted && (c == ']' || c == '}'))
      --depth;
  }
}

template <class Json>
Json parse_json(std::string_view text, std::string_view where, std::string_view remedy) {
  check_json_depth(text, where);
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    std::string reason = error.what();
    if (const auto id = reason.find("] "); id != std::string::npos) reason.erase(0, id + 2);
    std::replace(reason.begin(), reason.end(), '\n', ' ');
    throw input_error(std::string(where), "malformed JSON: " + reason, std::string(remedy));
  }
}
template nlohmann::json parse_json(std::string_view, std::string_view, std::string_view);
template nlohmann::ordered_json parse_json(std::string_view, std::string_view, std::string_view);

}  // namespace aneval
