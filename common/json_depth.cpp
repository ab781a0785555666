#include "common/json_depth.h"

#include <string>

#include "common/error.h"

namespace aneval {

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

}  // namespace aneval
