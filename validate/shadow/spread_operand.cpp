#include "validate/shadow/spread_operand.h"

#include <algorithm>
#include <bit>

#include "validate/shadow/parts.h"

namespace aneval::validate {

namespace {

/// The rows of a line that are told apart; a line of more is a line of queries, each of which has its own.
constexpr std::size_t kMostRows = 64;

/// The rows that are named more than once in a line, in the order of k.
std::vector<std::uint32_t> rows_of_line(const Shadow* line, std::int64_t step, std::int64_t steps) {
  struct Count {
    std::uint32_t row;
    std::int64_t times;
  };
  std::vector<Count> counts;
  for (std::int64_t k = 0; k < steps; ++k)
    for (const SharedError& part : line[k * step].shared) {
      if (part.amount == 0) continue;
      // From behind: rows lie side by side, as heads do.
      const auto found =
          std::find_if(counts.rbegin(), counts.rend(), [&](const Count& c) { return c.row == part.row; });
      if (found != counts.rend())
        ++found->times;
      else if (counts.size() == kMostRows)
        return {};
      else
        counts.push_back({part.row, 1});
    }
  std::vector<std::uint32_t> rows;
  for (const Count& count : counts)
    if (count.times > 1) rows.push_back(count.row);
  return rows;
}

/// Sorts what is shared by rows: the first of every line, the second, and so on.
void name_lines(const ShadowArithmetic::In& x, int line, int depth, SpreadOperand& spread) {
  const std::int64_t lines = x.shape[line], steps = x.shape[depth];
  std::vector<std::vector<std::uint32_t>> rows;
  for (std::int64_t at = 0; at < x.batches() * lines; ++at) {
    rows.push_back(rows_of_line(x.matrix(at / lines) + at % lines * x.strides[line], x.strides[depth], steps));
    while (spread.shared.size() < rows.back().size())
      spread.shared.push_back({std::vector<float>(spread.value.size()), {}, {steps, 0}});
  }
  for (std::size_t i = 0; i < spread.shared.size(); ++i)
    for (const auto& of_line : rows) spread.shared[i].names.push_back(i < of_line.size() ? of_line[i] : 0);
  for_each_element(x, [&](std::size_t place, const Shadow& s) {
    const auto element = static_cast<std::int64_t>(place);
    const bool across = line > depth;
    const std::int64_t at = across ? element / (lines * steps) * lines + element % lines : element / steps;
    const std::int64_t k = across ? element / lines % steps : element % steps;
    const auto& of_line = rows[static_cast<std::size_t>(at)];
    for (const SharedError& part : s.shared) {
      if (part.amount == 0) continue;
      const auto found = std::ranges::find(of_line, part.row);
      if (found == of_line.end()) {
        spread.variance[place] += part.amount * part.amount;
        spread.any_variance = true;
        continue;
      }
      SpreadOperand::Shared& shared = spread.shared[static_cast<std::size_t>(found - of_line.begin())];
      shared.amounts[place] = part.amount;
      shared.depth = {std::min(shared.depth.begin, k), std::max(shared.depth.end, k + 1)};
    }
  });
}

}  // namespace

void find_repeated(const ShadowArithmetic::In& x, int line, int depth, SpreadOperand& spread) {
  const std::int64_t lines = x.shape[line], steps = x.shape[depth];
  std::vector<std::uint64_t> hashes(static_cast<std::size_t>(steps));
  for (std::int64_t batch = 0; batch < x.batches(); ++batch) {
    std::vector<std::int32_t> order;
    for (std::int64_t k = 0; k < steps; ++k) {
      std::uint64_t hash = 0;
      for (std::int64_t at = 0; at < lines; ++at) {
        const double value = x.matrix(batch)[at * x.strides[line] + k * x.strides[depth]].value;
        hash = (hash ^ std::bit_cast<std::uint64_t>(value)) * 0x9E3779B97F4A7C15U;
        hash ^= hash >> 29U;
      }
      hashes[static_cast<std::size_t>(k)] = hash;
      order.push_back(static_cast<std::int32_t>(k));
    }
    std::sort(order.begin(), order.end(), [&](std::int32_t left, std::int32_t right) {
      return hashes[static_cast<std::size_t>(left)] < hashes[static_cast<std::size_t>(right)];
    });
    auto& groups = spread.repeated.emplace_back();
    for (auto first = order.begin(); first != order.end();) {
      const auto other = [&](std::int32_t k) {
        return hashes[static_cast<std::size_t>(k)] != hashes[static_cast<std::size_t>(*first)];
      };
      const auto end = std::find_if(first, order.end(), other);
      if (end - first > 1) groups.emplace_back(first, end);
      first = end;
    }
    spread.any_repeated = spread.any_repeated || !groups.empty();
  }
}

SpreadOperand take_apart(const ShadowArithmetic::In& x, int line, int depth) {
  SpreadOperand spread;
  spread.shape = x.shape;
  const auto n = static_cast<std::size_t>(x.shape.product());
  for (std::vector<float>* part : {&spread.value, &spread.centre, &spread.bias, &spread.variance}) part->resize(n);
  bool any_shared = false;
  for_each_element(x, [&](std::size_t at, const Shadow& s) {
    spread.value[at] = static_cast<float>(s.value);
    spread.centre[at] = static_cast<float>(s.centre());
    spread.bias[at] = s.bias;
    spread.variance[at] = s.variance;
    spread.any_bias = spread.any_bias || s.bias != 0;
    spread.any_variance = spread.any_variance || s.variance != 0;
    any_shared = any_shared || s.shared_variance() != 0;
  });
  if (any_shared) name_lines(x, line, depth, spread);
  return spread;
}

}  // namespace aneval::validate
