// A run with its checkpoints and looks, and its rows.
#include "train/run.h"

#include <gmock/gmock.h>

#include "common/test_support.h"
#include "train/rows.h"
#include "train/test_support.h"

namespace aneval::train {
namespace {

using testing::ElementsAre;

Experiment small_experiment(std::int64_t steps, double loss_scale = 256) {
  Experiment experiment;
  experiment.model = small_model(small_shape());
  experiment.tokens = small_tokens(small_shape());
  experiment.ids = occurring_ids(experiment.tokens);
  experiment.settings = small_settings(steps);
  experiment.settings.loss_scale = loss_scale;
  experiment.look_every = 3;
  experiment.checkpoint_every = 2;
  return experiment;
}

TEST(TrainingRun, ReportsEveryStepBeforeItsCheckpointAndGoesOnFromThere) {
  const TemporaryFolder folder;
  const auto file = folder / "c.safetensors";
  const Experiment experiment = small_experiment(7);
  const auto backend = make_reference_backend(experiment.model.shape);
  std::vector<double> whole, parts;
  EXPECT_TRUE(
      TrainingRun(experiment, *backend, folder / "whole.safetensors", std::nullopt).go([&](const StepReport& report) {
        whole.push_back(report.result.loss);
        return true;
      }));
  const auto stop_after = [&](std::int64_t steps, std::optional<Checkpoint> from) {
    return TrainingRun(experiment, *backend, file, std::move(from)).go([&](const StepReport& report) {
      if (std::filesystem::exists(file)) {
        EXPECT_LE(read_checkpoint(file).state.step, report.result.step);
      }
      parts.push_back(report.result.loss);
      return --steps > 0;
    });
  };
  EXPECT_FALSE(stop_after(3, std::nullopt));
  EXPECT_EQ(read_checkpoint(file).state.step, 3);
  EXPECT_TRUE(stop_after(100, read_checkpoint(file)));
  EXPECT_EQ(parts, whole);
  EXPECT_EQ(read_checkpoint(file).state.weights, read_checkpoint(folder / "whole.safetensors").state.weights);
}

TEST(TrainingRun, LooksAtGradientsAtTheWeightsOfTheStep) {
  const TemporaryFolder folder;
  const Experiment experiment = small_experiment(8);
  // The reference looked at by itself: the same gradients, bit for bit, in every step.
  const auto backend = make_reference_backend(experiment.model.shape);
  TrainingRun run(experiment, *backend, folder / "c", std::nullopt);
  run.look_at_gradients(nullptr);
  std::vector<std::int64_t> looked;
  run.go([&](const StepReport& report) {
    if (!report.look) return true;
    looked.push_back(report.result.step);
    for (const GradientError& error : report.look->errors) EXPECT_EQ(error.relative, 0) << error.name;
    EXPECT_GT(report.look->largest_activation, 1);
    return true;
  });
  EXPECT_THAT(looked, ElementsAre(0, 3, 6, 7));
}

TEST(TrainingRun, DropsFewerProductsOfScaledGradients) {
  const TemporaryFolder folder;
  std::vector<std::map<std::string, double>> dropped;
  for (const double scale : {1.0, 4096.0}) {
    const Experiment experiment = small_experiment(1, scale);
    DroppedProducts products(emulator::find_profile("h16"), nullptr);
    DeviceRun device(experiment.model.shape, "h16", {.evaluated = products.observer()});
    TrainingRun run(experiment, *device.backend, folder / "c", std::nullopt);
    run.look_at_gradients(&products);
    run.go([&](const StepReport& report) {
      dropped.push_back(report.look.value().dropped);
      return true;
    });
  }
  ASSERT_EQ(dropped.size(), 2U);
  EXPECT_EQ(dropped[0].size(), 10U);
  EXPECT_EQ(dropped[0].at("woFwd"), dropped[1].at("woFwd")) << "no gradient in it";
  // Gradients of about 1e-2 beside weights of 0.2: their exponents sum to -10 on average; 2^12 lifts all of them.
  EXPECT_GT(dropped[0].at("ffnBwdW13t"), 0.01);
  EXPECT_LT(dropped[1].at("ffnBwdW13t"), 0.1 * dropped[0].at("ffnBwdW13t"));
}

TEST(TrainingRun, DropsTheSameProductsOfWeightsThatAreCompiledIn) {
  const TemporaryFolder folder;
  Experiment experiment = small_experiment(5);
  experiment.look_every = 2;
  std::vector<std::map<std::string, double>> dropped[2];
  for (const ane::Weights weights : {ane::Weights::dynamic, ane::Weights::compiled}) {
    ane::Variant variant;
    variant.weights = weights;
    auto& of_variant = dropped[weights == ane::Weights::compiled ? 1 : 0];
    DroppedProducts products(emulator::find_profile("h16"), nullptr);
    DeviceRun device(experiment.model.shape, "h16", {.evaluated = products.observer()}, variant);
    TrainingRun run(experiment, *device.backend, folder / (weights == ane::Weights::compiled ? "s" : "d"),
                    std::nullopt);
    run.look_at_gradients(&products);
    run.go([&](const StepReport& report) {
      if (report.look) of_variant.push_back(report.look->dropped);
      return true;
    });
  }
  EXPECT_EQ(dropped[0].size(), 3U);
  EXPECT_NE(dropped[0].front(), dropped[0].back());
  EXPECT_EQ(dropped[0], dropped[1]);
}

TEST(Rows, CarryWhatAStepReportedAndGiveTheLossesBack) {
  const Experiment experiment = small_experiment(2);
  const Record device = run_row({}, experiment, "device"), other = run_row({}, experiment, "control1");
  EXPECT_EQ(device.case_text, "run=device;loss_scale=256;seed=1");
  StepReport report;
  report.result = {.step = 0, .loss = 0.1, .gradient_norm = 2, .rate = 0.5};
  report.times.add("forward", "eval", 5);
  report.times.add("step", "train_step", 1000);
  report.look = Look{{{"layers.1.wq", 0.9, 0.3, 0.1}}, 7, {{"woFwd", 0.5}}};
  std::vector<Record> rows = step_rows(device, report, 16, true);
  const auto value = [&](std::string_view metric) {
    for (const Record& row : rows)
      if (row.metric == metric) return row.value.value();
    throw std::logic_error("no row of it");
  };
  EXPECT_EQ(value("loss"), 0.1);
  EXPECT_EQ(value("gradient_norm"), 2);
  EXPECT_EQ(value("learning_rate"), 0.5);
  EXPECT_EQ(value("tokens_per_s"), 16e6);
  EXPECT_EQ(value("grad_cosine"), 0.9);
  EXPECT_EQ(value("grad_rel_l2"), 0.3);
  EXPECT_EQ(value("underflow_fraction"), 0.1);
  EXPECT_EQ(value("largest_abs"), 7);
  EXPECT_EQ(value("drop_fraction"), 0.5);
  for (const Record& row : rows) EXPECT_EQ(row.step, 0);

  report = {};
  report.result = {.step = 1, .loss = std::nan(""), .gradient_norm = 1, .overflow = true};
  const auto second = step_rows(device, report, 16, false);
  rows.insert(rows.end(), second.begin(), second.end());
  EXPECT_EQ(second[0].status, Status::nonfinite);
  EXPECT_FALSE(second[0].value.has_value());
  EXPECT_EQ(second[1].metric, "overflow_count");
  EXPECT_THAT(losses_in(rows, device, 1), ElementsAre(0.1));
  EXPECT_EQ(losses_in(rows, device, 2).size(), 2U);
  EXPECT_THAT(losses_in(rows, other, 2), ElementsAre());
  EXPECT_EQ(rows_before(rows, device, 2).size(), rows.size());
}

}  // namespace
}  // namespace aneval::train
