#include "tuning/search.h"

#include <algorithm>
#include <limits>

#include "common/error.h"
#include "common/names.h"

namespace aneval::tuning {
namespace {

/// Which part of the refusal tells points apart: "constraint of the sweep: {...}" whole, a family's by its rule.
std::string kind_of(const std::string& reason) {
  const auto rule = reason.rfind('[');
  if (reason.starts_with("constraint") || rule == std::string::npos) return reason;
  return "rule " + reason.substr(rule);
}

template <class T>
void shuffle(std::vector<T>& values, Random& random) {
  for (std::size_t i = values.size(); i > 1; --i)
    std::swap(values[i - 1], values[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(i)))]);
}

std::string counted(const std::map<std::string, std::int64_t>& refused) {
  std::vector<std::string> parts;
  for (const auto& [reason, count] : refused) parts.push_back(std::to_string(count) + " by " + reason);
  return join(parts, "; ");
}

}  // namespace

Search::Search(const SweepFile& file, const Shard& shard)
    : file_(file), planner_(file.constraints), random_(file.seed, "sweep") {
  if (file.product() <= kEnumerable) {
    enumerate(shard);
  } else {
    if (file.method == Method::exhaustive)
      throw input_error("search.method",
                        "exhaustive, but the product has " + std::to_string(file.product()) + " points",
                        "leave values out, or choose random with a budget of points");
    if (!file.budget.points && !file.budget.seconds && !file.budget.compiles)
      throw input_error("budget", "there is none, and the product has " + std::to_string(file.product()) + " points",
                        "give points, seconds or compiles");
    if (shard.count > 1)
      throw input_error("--shard",
                        "a product of more than " + std::to_string(kEnumerable) + " points is not enumerated",
                        "cut the sweep by its values instead");
  }
  const std::int64_t allowed = file.budget.points.value_or(std::numeric_limits<std::int64_t>::max());
  if (enumerated_ && file.method != Method::random && runnable() <= allowed) exhaustive_ = true;
  if (file.method == Method::exhaustive && !exhaustive_)
    throw input_error("budget.points", std::to_string(allowed) + " points are not all " + std::to_string(runnable()),
                      "allow as many, or choose search.method auto");
  if (exhaustive_) return;
  random_left_ = static_cast<std::int64_t>(kRandomShare * static_cast<double>(std::min(allowed, kEnumerable)));
  shuffled_.resize(points_.size());
  for (std::size_t i = 0; i < shuffled_.size(); ++i) shuffled_[i] = i;
  shuffle(shuffled_, random_);
}

void Search::enumerate(const Shard& shard) {
  enumerated_ = true;
  std::set<std::string> identities;
  const auto append_default = [&](const Point& point, std::vector<Point>& to) {
    // What a winner has to beat is measured whether or not the sweep lists it.
    const Point plain = default_of(point);
    const Planned& planned = planner_.plan(plain);
    if (planned.refused.empty() && identities.insert(planned.identity).second) to.push_back(plain);
  };
  std::map<std::string, std::int64_t> contests;
  std::vector<Point> all;
  const std::int64_t product = file_.product();
  for (std::int64_t number = 0; number < product; ++number) {
    const Point point = file_.point(number);
    const Planned& planned = planner_.plan(point);
    if (!planned.refused.empty()) {
      ++refused_[kind_of(planned.refused)];
      refused_points_.emplace_back(point, planned.refused);
      continue;
    }
    if (contests.emplace(context_text(point), static_cast<std::int64_t>(contests.size())).second)
      append_default(point, all);
    if (identities.insert(planned.identity).second)
      all.push_back(point);
    else if (point_text(point) != context_text(point))
      ++same_;
  }
  if (all.empty())
    throw input_error("sweep", "none of its " + std::to_string(product) + " points can run: " + counted(refused_),
                      "loosen the constraints, or choose other values");
  // Contests stay whole when there are enough of them: their winners are then known where they were measured.
  const bool by_contest = static_cast<std::int64_t>(contests.size()) >= shard.count;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto part = by_contest ? contests.at(context_text(all[i])) : static_cast<std::int64_t>(i);
    if (part % shard.count != shard.index - 1) continue;
    points_.push_back(all[i]);
    mine_.insert(planner_.plan(all[i]).identity);
  }
  if (shard.index > 1) refused_points_.clear();  // the first shard tells
  if (points_.empty())
    throw input_error("--shard " + std::to_string(shard.index) + "/" + std::to_string(shard.count),
                      "has none of the " + std::to_string(all.size()) + " points", "choose fewer shards");
}

bool Search::take(Point& point) {
  const Planned planned = planner_.plan(point);
  if (!planned.refused.empty()) {
    if (!enumerated_) ++refused_[kind_of(planned.refused)];
    return false;
  }
  if (enumerated_ && !mine_.contains(planned.identity)) return false;
  if (!taken_.insert(planned.identity).second) return false;
  // What a knob does not change it need not be named by: the point is the default, if it is the default's work.
  const Point plain = default_of(point);
  for (const Parameter& parameter : parameters()) {
    if (parameter.role != Role::knob || parameter.get(point) == parameter.get(plain)) continue;
    Point simpler = point;
    parameter.set(simpler, parameter.get(plain));
    if (const Planned& same = planner_.plan(simpler); same.refused.empty() && same.identity == planned.identity)
      point = simpler;
  }
  return true;
}

std::optional<Point> Search::next() {
  if (exhaustive_) return place_ < points_.size() ? std::optional(points_[place_++]) : std::nullopt;
  while (!defaults_.empty()) {
    Point point = defaults_.back();
    defaults_.pop_back();
    if (take(point)) return point;
  }
  if (random_left_ > 0) {
    --random_left_;
    if (auto point = random_point()) return point;
    random_left_ = 0;
  }
  return local_point();
}

std::optional<Point> Search::random_point() {
  if (enumerated_) {
    while (place_ < shuffled_.size())
      if (Point point = points_[shuffled_[place_++]]; take(point)) return point;
    return std::nullopt;
  }
  constexpr int kPatience = 10'000;
  for (int i = 0; i < kPatience; ++i)
    if (Point point = file_.point(random_.below(file_.product())); take(point)) return point;
  return std::nullopt;
}

std::vector<Point> Search::neighbours(const Point& point) {
  std::vector<Point> all;
  for (const Axis& axis : file_.axes) {
    if (axis.parameter->role != Role::knob) continue;
    for (const std::string& value : axis.values) {
      Point other = point;
      axis.parameter->set(other, value);
      if (axis.parameter->get(point) != value) all.push_back(std::move(other));
    }
  }
  shuffle(all, random_);
  return all;
}

std::optional<Point> Search::local_point() {
  // A round over all contests, so that a budget is shared among them.
  std::vector<Contest*> open;
  for (auto& [context, contest] : contests_)
    if (!contest.neighbours.empty()) open.push_back(&contest);
  std::ranges::stable_sort(open, {}, &Contest::tries);
  for (Contest* contest : open)
    while (!contest->neighbours.empty()) {
      Point point = contest->neighbours.back();
      contest->neighbours.pop_back();
      if (!take(point)) continue;
      ++contest->tries;
      return point;
    }
  if (!enumerated_) return std::nullopt;
  // Nothing is left next to a best one: what remains, at random.
  return random_point();
}

void Search::tell(const Point& point, std::optional<double> cost) {
  if (exhaustive_) return;
  const std::string context = context_text(point);
  if (!contests_.contains(context)) {
    const Point plain = default_of(point);
    if (point_text(plain) != point_text(point)) defaults_.push_back(plain);  // taken once only
  }
  Contest& contest = contests_[context];
  if (!cost || (contest.best && *cost >= contest.cost)) return;
  contest.best = point;
  contest.cost = *cost;
  contest.neighbours = neighbours(point);
}

}  // namespace aneval::tuning
