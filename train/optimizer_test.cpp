#include "train/optimizer.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "common/random.h"

namespace aneval::train {
namespace {

constexpr double kUnit = 0x1p-24;

Parameters parameters_of(std::int64_t rows, std::int64_t cols, std::uint64_t seed) {
  Parameters p;
  p.globals["embedding"] = Tensor({rows, cols});
  p.layers.emplace_back()["rms_att"] = Tensor({cols});
  for (const NamedTensor& named : tensors_of(p)) Random(seed, named.name).fill_normal(named.tensor->data, 1.0);
  return p;
}

TEST(Schedule, RisesLinearlyAndFallsAsACosine) {
  const Schedule schedule{.peak = 2.0, .final_share = 0.1, .warmup = 4, .steps = 15};
  EXPECT_DOUBLE_EQ(schedule.rate(0), 0.5);
  EXPECT_DOUBLE_EQ(schedule.rate(3), 2.0);
  EXPECT_DOUBLE_EQ(schedule.rate(4), 2.0);
  EXPECT_DOUBLE_EQ(schedule.rate(9), 2.0 * (0.1 + 0.9 * 0.5));
  EXPECT_DOUBLE_EQ(schedule.rate(14), 0.2);
  EXPECT_DOUBLE_EQ(schedule.rate(1000), 0.2);
  for (std::int64_t step = 5; step < 15; ++step) EXPECT_LT(schedule.rate(step), schedule.rate(step - 1));
  EXPECT_DOUBLE_EQ((Schedule{.peak = 1, .warmup = 0, .steps = 1}).rate(0), 1.0);
}

TEST(GlobalNorm, IsOfAllTensorsTogetherWhateverTheThreads) {
  Parameters g = parameters_of(1000, 300, 3);
  double sum = 0;
  for (const NamedTensor& named : tensors_of(g))
    for (const float value : named.tensor->data) sum += static_cast<double>(value) * static_cast<double>(value);
  ThreadPool pool(3);
  EXPECT_EQ(global_norm(g), global_norm(g, &pool));
  // 300300 sums in double.
  EXPECT_NEAR(global_norm(g), std::sqrt(sum), 300300 * 0x1p-53 * std::sqrt(sum));
  g.layers[0]["rms_att"].data[7] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(std::isfinite(global_norm(g)));
  g.layers[0]["rms_att"].data[7] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(std::isfinite(global_norm(g)));
}

TEST(Clip, ShortensOnlyWhatIsTooLong) {
  EXPECT_EQ(clip_factor(4.0, 1.0), 0.25);
  EXPECT_EQ(clip_factor(0.5, 1.0), 1.0);
  EXPECT_EQ(clip_factor(4.0, 0.0), 1.0);
}

// Against the formulas in double, element by element, over three updates: about six roundings of fp32 per update, in
// terms whose sizes are those of w, rate and decay.
TEST(AdamWUpdate, FollowsItsFormulas) {
  const AdamW adam{.beta1 = 0.9, .beta2 = 0.99, .eps = 1e-6, .weight_decay = 0.1};
  constexpr double rate = 0.01, factor = 0.5;
  Parameters weights = parameters_of(40, 25, 1);
  const Parameters before = weights;
  Moments moments{zeros_like(weights), zeros_like(weights), 0};
  std::vector<Parameters> gradients;
  for (std::uint64_t k = 0; k < 3; ++k) gradients.push_back(parameters_of(40, 25, 10 + k));
  ThreadPool pool(2);
  for (const Parameters& g : gradients) update(adam, rate, factor, g, weights, moments, &pool);
  EXPECT_EQ(moments.updates, 3);
  const auto start = tensors_of(before), got = tensors_of(std::as_const(weights));
  for (std::size_t i = 0; i < got.size(); ++i) {
    const bool decays = got[i].name == "embedding";
    for (std::size_t j = 0; j < got[i].tensor->data.size(); ++j) {
      double w = static_cast<double>(start[i].tensor->data[j]), m = 0, v = 0;
      for (int t = 1; t <= 3; ++t) {
        const auto all = tensors_of(std::as_const(gradients[static_cast<std::size_t>(t - 1)]));
        const double g = factor * static_cast<double>(all[i].tensor->data[j]);
        m = 0.9 * m + 0.1 * g;
        v = 0.99 * v + 0.01 * g * g;
        const double step = (m / (1 - std::pow(0.9, t))) / (std::sqrt(v / (1 - std::pow(0.99, t))) + 1e-6);
        w -= rate * (step + (decays ? 0.1 * w : 0.0));
      }
      // A step is at most about 1/sqrt(0.01) rates long.
      const double bound = 3 * 8 * kUnit * (std::abs(w) + 10 * rate);
      ASSERT_NEAR(static_cast<double>(got[i].tensor->data[j]), w, bound) << got[i].name << " " << j;
    }
  }
}

TEST(AdamWUpdate, HasTheSameBitsOnAnyNumberOfThreads) {
  Parameters one = parameters_of(700, 300, 1), many = one;
  const Parameters g = parameters_of(700, 300, 2);
  Moments of_one{zeros_like(one), zeros_like(one), 0}, of_many = of_one;
  ThreadPool pool(3);
  update({}, 0.1, 1, g, one, of_one, nullptr);
  update({}, 0.1, 1, g, many, of_many, &pool);
  EXPECT_EQ(one, many);
  EXPECT_EQ(of_one.second, of_many.second);
}

}  // namespace
}  // namespace aneval::train
