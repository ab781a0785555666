#include "train/grammar.h"

#include <array>
#include <string_view>

#include "common/random.h"

namespace aneval::train {
namespace {

/// Singular and plural: of a noun, or the verb that goes with such a subject.
struct Forms {
  std::string_view one, many;
};

constexpr std::array<Forms, 10> kNouns = {{{"dog", "dogs"},
                                           {"cat", "cats"},
                                           {"bird", "birds"},
                                           {"child", "children"},
                                           {"fox", "foxes"},
                                           {"mouse", "mice"},
                                           {"girl", "girls"},
                                           {"king", "kings"},
                                           {"sheep", "sheep"},
                                           {"frog", "frogs"}}};
constexpr std::array<Forms, 7> kTransitive = {{{"sees", "see"},
                                               {"likes", "like"},
                                               {"hears", "hear"},
                                               {"follows", "follow"},
                                               {"helps", "help"},
                                               {"finds", "find"},
                                               {"calls", "call"}}};
constexpr std::array<Forms, 6> kIntransitive = {{{"sleeps", "sleep"},
                                                 {"runs", "run"},
                                                 {"sings", "sing"},
                                                 {"waits", "wait"},
                                                 {"is happy", "are happy"},
                                                 {"was here", "were here"}}};
constexpr std::array<std::string_view, 8> kAdjectives = {"small", "red",    "old",  "quiet",
                                                         "brave", "hungry", "tall", "kind"};
constexpr std::array<std::string_view, 6> kAdverbs = {"often", "never", "always", "slowly", "today", "again"};
constexpr std::array<std::string_view, 5> kPlaces = {"in the garden", "near the river", "under a tree", "at home",
                                                     "by the sea"};
constexpr std::array<std::string_view, 4> kLinks = {"and", "but", "because", "while"};

class Writer {
  template <class List>
  const auto& pick(const List& list) {
    return list[static_cast<std::size_t>(random_.below(static_cast<std::int64_t>(list.size())))];
  }

 public:
  explicit Writer(std::uint64_t seed) : random_(seed, "grammar") {}

  std::string sentence() {
    text_.clear();
    clause();
    if (chance(0.3)) {
      add(pick(kLinks));
      clause();
    }
    text_ += '.';
    return text_;
  }
  bool chance(double probability) { return random_.uniform() < probability; }

 private:
  void add(std::string_view word) {
    if (!text_.empty()) text_ += ' ';
    text_ += word;
  }
  void add(const Forms& forms, bool many) { add(many ? forms.many : forms.one); }

  /// Returns whether it is a plural. A relative clause stands between it and its verb.
  bool noun_phrase(double relative) {
    const bool many = chance(0.5);
    add(many ? (chance(0.5) ? "the" : "some") : (chance(0.5) ? "the" : "a"));
    if (chance(0.4)) {
      const std::string_view adjective = pick(kAdjectives);
      // The one adjective that begins with a vowel.
      if (adjective == "old" && (text_ == "a" || text_.ends_with(" a"))) text_ += 'n';
      add(adjective);
    }
    add(pick(kNouns), many);
    if (chance(relative)) {
      add("that");
      if (chance(0.5)) {
        add(pick(kTransitive), many);
        noun_phrase(0);
      } else {
        const bool others = noun_phrase(0);
        add(pick(kTransitive), others);
      }
    }
    return many;
  }

  void clause() {
    const bool many = noun_phrase(0.3);
    if (chance(0.25)) add(pick(kAdverbs));
    if (chance(0.6)) {
      add(pick(kTransitive), many);
      noun_phrase(0.1);
    } else {
      add(pick(kIntransitive), many);
    }
    if (chance(0.3)) add(pick(kPlaces));
  }

  Random random_;
  std::string text_;
};

}  // namespace

std::string grammar_text(std::uint64_t seed, std::int64_t bytes) {
  Writer writer(seed);
  std::string text;
  while (static_cast<std::int64_t>(text.size()) < bytes) {
    text += writer.sentence();
    text += writer.chance(0.2) ? '\n' : ' ';
  }
  return text;
}

}  // namespace aneval::train
