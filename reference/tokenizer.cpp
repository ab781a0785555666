// llama2.c tokenizers: reading them and encoding as they do. Merging works on a linked list of pieces and a queue of
// candidate merges, so that a long text takes n·log n instead of n².
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <queue>

#include "common/error.h"
#include "common/files.h"
#include "reference/llama2c.h"

namespace aneval::reference {

namespace {

static_assert(std::endian::native == std::endian::little, "the files are read as they lie in memory");

constexpr std::int32_t kBos = 1;
constexpr std::int32_t kByteOffset = 3;  // the tokens of single bytes follow unk, BOS and EOS
constexpr std::size_t kUtf8Bytes = 4;    // longest character
constexpr std::string_view kRemedy = "use the tokenizer that belongs to the model";

/// Walks over the file's values, complaining when it ends before one.
class Cursor {
 public:
  Cursor(const std::filesystem::path& file, const std::vector<std::byte>& content) : file_(file), content_(content) {}

  template <class T>
  T value(const std::string& what) {
    T result;
    std::memcpy(&result, bytes(sizeof result, what), sizeof result);
    return result;
  }
  const std::byte* bytes(std::size_t count, const std::string& what) {
    if (count > content_.size() - position_) fail("it ends within " + what);
    position_ += count;
    return content_.data() + (position_ - count);
  }
  std::size_t left() const { return content_.size() - position_; }
  [[noreturn]] void fail(const std::string& reason) const {
    throw input_error(file_.string(), "not a llama2.c tokenizer, " + reason, std::string(kRemedy));
  }

 private:
  const std::filesystem::path& file_;
  const std::vector<std::byte>& content_;
  std::size_t position_ = 0;
};

/// A piece of the text while merging: a token, and its neighbours (-1 at the ends).
struct Piece {
  std::int32_t token;
  std::int64_t previous, next;
  bool alive = true;
};

/// A possible merge of two neighbours, stale once either is no longer the token it was.
struct Merge {
  float score;
  std::int64_t left, right;
  std::int32_t left_token, right_token, merged;

  /// Queue order: highest score on top, the leftmost on a tie.
  bool operator<(const Merge& other) const { return score != other.score ? score < other.score : left > other.left; }
};

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0u) == 0x80u; }

}  // namespace

Tokenizer Tokenizer::read(const std::filesystem::path& file, std::int64_t vocab) {
  const std::vector<std::byte> content = read_file(file);
  Cursor cursor(file, content);
  const auto longest = cursor.value<std::int32_t>("the length of its longest token");
  if (longest <= 0) cursor.fail("its longest token has " + std::to_string(longest) + " bytes");
  Tokenizer tokenizer;
  for (std::int64_t id = 0; id < vocab; ++id) {
    const std::string name = "token " + std::to_string(id) + " of " + std::to_string(vocab);
    const auto score = cursor.value<float>(name);
    const auto length = cursor.value<std::int32_t>(name);
    if (!std::isfinite(score)) cursor.fail("the score of " + name + " is not finite");
    if (length < 0 || length > longest)
      cursor.fail(name + " has " + std::to_string(length) + " bytes, the longest should have " +
                  std::to_string(longest));
    const auto size = static_cast<std::size_t>(length);
    const auto* bytes = reinterpret_cast<const char*>(cursor.bytes(size, name));
    tokenizer.entries_.push_back({std::string(bytes, size), score});
    tokenizer.sorted_.emplace_back(tokenizer.entries_.back().bytes, static_cast<std::int32_t>(id));
  }
  if (cursor.left() != 0)
    cursor.fail("after " + std::to_string(vocab) + " tokens " + std::to_string(cursor.left()) + " bytes are left");
  std::sort(tokenizer.sorted_.begin(), tokenizer.sorted_.end());
  return tokenizer;
}

std::int32_t Tokenizer::find(std::string_view bytes) const {
  const auto found = std::lower_bound(sorted_.begin(), sorted_.end(), bytes,
                                      [](const auto& entry, std::string_view text) { return entry.first < text; });
  return found != sorted_.end() && found->first == bytes ? found->second : -1;
}

std::vector<std::int32_t> Tokenizer::characters(std::string_view text) const {
  std::vector<std::int32_t> tokens;
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = begin + 1;
    while (end < text.size() && end - begin < kUtf8Bytes && continues_character(text[end])) ++end;
    if (const std::int32_t token = find(text.substr(begin, end - begin)); token >= 0) {
      tokens.push_back(token);
    } else {
      for (std::size_t i = begin; i < end; ++i) tokens.push_back(static_cast<unsigned char>(text[i]) + kByteOffset);
    }
    begin = end;
  }
  const std::int64_t vocab = static_cast<std::int64_t>(entries_.size());
  for (const std::int32_t token : tokens)
    if (token >= vocab)
      throw input_error("text", "it has a byte without a token in a vocabulary of " + std::to_string(vocab),
                        std::string(kRemedy));
  return tokens;
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<std::int32_t> result = {kBos};
  if (text.empty()) return result;
  std::string spaced(1, ' ');
  spaced += text;
  std::vector<Piece> pieces;
  for (const std::int32_t token : characters(spaced)) {
    const auto at = static_cast<std::int64_t>(pieces.size());
    pieces.push_back({token, at - 1, at + 1});
  }
  pieces.back().next = -1;

  const auto piece = [&](std::int64_t i) -> Piece& { return pieces[static_cast<std::size_t>(i)]; };
  const auto entry = [&](std::int32_t token) -> const Entry& { return entries_[static_cast<std::size_t>(token)]; };
  std::priority_queue<Merge> queue;
  const auto propose = [&](std::int64_t left, std::int64_t right) {
    if (left < 0 || right < 0) return;
    const std::int32_t a = piece(left).token, b = piece(right).token;
    const std::int32_t merged = find(entry(a).bytes + entry(b).bytes);
    if (merged >= 0) queue.push({entry(merged).score, left, right, a, b, merged});
  };
  for (std::int64_t i = 0; i + 1 < static_cast<std::int64_t>(pieces.size()); ++i) propose(i, i + 1);

  while (!queue.empty()) {
    const Merge merge = queue.top();
    queue.pop();
    Piece &left = piece(merge.left), &right = piece(merge.right);
    if (!left.alive || !right.alive || left.token != merge.left_token || right.token != merge.right_token) continue;
    left.token = merge.merged;
    left.next = right.next;
    right.alive = false;
    if (left.next >= 0) piece(left.next).previous = merge.left;
    propose(left.previous, merge.left);
    propose(merge.left, left.next);
  }
  for (const Piece& p : pieces)
    if (p.alive) result.push_back(p.token);
  return result;
}

}  // namespace aneval::reference
