// A whole layer forward and backward as a training step runs it, and what each of its steps takes of the time.
#include <algorithm>
#include <map>

#include "bench/suites.h"
#include "common/statistics.h"
#include "validate/layer_check.h"

namespace aneval::bench {
namespace {

/// The name of a step within its plan: kernels by their name, CPU operations by what they make as well.
std::string step_name(const ane::PlanStep& step) {
  if (step.is_kernel()) return step.kernel;
  return std::string(ane::cpu_op_name(step.cpu)) + ":" + step.outputs.back().second;
}

/// Times of every phase of every step, run by run.
class StepTimes {
 public:
  void add(const ane::PlanStep& step, std::string_view phase, std::int64_t ns) {
    auto& times = times_[{step_name(step), std::string(phase)}];
    if (times.empty()) order_.push_back({step_name(step), std::string(phase)});
    times.push_back(static_cast<double>(ns));
  }
  void clear() {
    times_.clear();
    order_.clear();
  }
  /// Median time of each, and its share of the sum of the medians.
  std::vector<Record> rows(const Record& row) const {
    double sum = 0;
    for (const auto& [key, times] : times_) sum += median(times);
    std::vector<Record> rows;
    for (const auto& key : order_) {
      Record step = row;
      step.item = row.phase + "." + key.first;
      step.phase = key.second;
      const double ns = median(times_.at(key));
      rows.push_back(fact(step, "time", ns));
      if (sum > 0) rows.push_back(fact(step, "ratio", ns / sum));
    }
    return rows;
  }

 private:
  using Key = std::pair<std::string, std::string>;
  std::map<Key, std::vector<double>> times_;
  std::vector<Key> order_;
};

/// What forward and backward share: programs, one layer with staged weights, and its tensors.
struct LayerState {
  validate::Case c;
  NamedTensors inputs, weights, tensors;
  std::string output_hash;
  std::unique_ptr<ane::LayerPrograms> programs;
  std::unique_ptr<ane::Layer> layer;
  ane::DeviceCounters made;  // compiles and surfaces that this layer took
};

std::shared_ptr<LayerState> make_state(ValidatedCases& cases, const validate::Case& c) {
  auto state = std::make_shared<LayerState>();
  state->c = c;
  state->inputs = validate::random_layer_tensors(c);
  state->output_hash = cases.layer(c, state->inputs);
  const validate::CheckOptions& options = cases.options();
  const ane::DeviceCounters before = options.device->counters();
  state->programs =
      std::make_unique<ane::LayerPrograms>(*options.device, options.registry, c.shape, c.variant, options.programs);
  state->layer = std::make_unique<ane::Layer>(*state->programs, options.pool);
  for (const std::string& name : validate::layer_weights()) state->weights[name] = state->inputs.at(name);
  state->layer->stage(state->weights);
  const ane::DeviceCounters after = options.device->counters();
  state->made.compile_attempts = after.compile_attempts - before.compile_attempts;
  state->made.surfaces = after.surfaces - before.surfaces;
  state->made.surface_bytes = after.surface_bytes - before.surface_bytes;
  state->tensors = {{"x", state->inputs.at("x")}, {"dy", state->inputs.at("dy")}};
  state->layer->forward(state->tensors);
  return state;
}

double flops_of(const LayerState& state, const std::vector<ane::PlanStep>& steps) {
  double flops = 0;
  for (const ane::PlanStep& step : steps)
    if (step.is_kernel()) flops += mil::matmul_flops(state.programs->kernel(step.kernel).program.graph.main());
  return flops;
}

double half_bytes_of(const ane::Axis& channels, const ane::Axis& width) {
  return 2.0 * static_cast<double>(channels.size() * width.size());
}

/// What every kernel of these steps is given and what is read of it, and what an update of the weights stages for all
/// kernels of the plan: bytes of fp16 on surfaces, padding left out.
std::vector<Record> byte_rows(const LayerState& state, const std::vector<ane::PlanStep>& steps, const Record& row) {
  std::vector<Record> rows;
  const auto add = [&](const std::string& item, const char* phase, double bytes) {
    Record moved = row;
    moved.item = item;
    moved.phase = phase;
    rows.push_back(fact(moved, "bytes", bytes));
  };
  for (const ane::PlanStep& step : steps) {
    if (!step.is_kernel()) continue;
    const ane::PackedLayout& layout = state.programs->kernel(step.kernel).layout;
    double written = 0, copied = 0, read = 0;
    for (const auto& [name, tensor] : step.inputs)
      written += half_bytes_of(layout.slot(name).channels, layout.slot(name).width);
    for (const ane::SurfaceSource& source : step.sources)
      copied += half_bytes_of(layout.slot(source.slot).channels, layout.slot(source.slot).width);
    for (const auto& [name, tensor] : step.outputs)
      if (!step.on_surface.contains(tensor))
        read += half_bytes_of(layout.block(name).channels, layout.block(name).width);
    add(row.phase + "." + step_name(step), "write_acts", written - copied);
    add(row.phase + "." + step_name(step), "copy", step.input_surface_of.empty() ? copied : 0);
    add(row.phase + "." + step_name(step), "read", read);
  }
  double staged = 0;
  for (const auto& [name, kernel] : state.programs->kernels())
    for (const ane::Slot& slot : kernel.layout.slots())
      if (slot.kind == ane::SlotKind::weight) staged += half_bytes_of(slot.channels, slot.width);
  add("all", "stage_weights", staged);
  return rows;
}

void check_results(const LayerState& state) {
  const std::string hash = validate::layer_hash(state.tensors);
  if (hash != state.output_hash) throw hash_differs("result of the layer", state.output_hash, hash);
}

/// Weight gradients accumulate: every run starts from zeros.
void zero_gradients(LayerState& state) {
  for (const std::string& weight : validate::layer_weights())
    if (const auto found = state.tensors.find("d" + weight); found != state.tensors.end())
      std::ranges::fill(found->second.data, 0.0F);
}

using States = std::map<std::string, std::shared_ptr<LayerState>>;

Subject layer_subject(const std::shared_ptr<ValidatedCases>& cases, const std::shared_ptr<States>& states,
                      const validate::Case& c, bool forward) {
  std::shared_ptr<LayerState>& state = (*states)[validate::case_text(c)];
  if (!state) state = make_state(*cases, c);
  auto times = std::make_shared<StepTimes>();
  const ane::StepObserver observer = [times](const ane::PlanStep& step, std::string_view phase, std::int64_t ns) {
    times->add(step, phase, ns);
  };
  Subject subject;
  if (forward) {
    subject.run = [state, observer] { state->layer->forward(state->tensors, observer); };
    subject.finished = [state] {
      zero_gradients(*state);
      state->layer->backward(state->tensors);
      check_results(*state);
    };
  } else {
    subject.before = [state] { zero_gradients(*state); };
    subject.run = [state, observer] { state->layer->backward(state->tensors, observer); };
    subject.after = [state] { check_results(*state); };
  }
  subject.warm = [times] { times->clear(); };
  const ane::LayerPlan& plan = state->programs->plan();
  subject.work.flops = flops_of(*state, forward ? plan.forward : plan.backward);
  subject.facts = [state, times, forward](const Record& row) {
    std::vector<Record> rows = times->rows(row);
    const ane::LayerPlan& of_layer = state->programs->plan();
    for (Record& moved : byte_rows(*state, forward ? of_layer.forward : of_layer.backward, row))
      rows.push_back(std::move(moved));
    Record made = row;
    made.item = "all";  // for the whole layer, whatever its number of runs
    rows.push_back(fact(made, "compile_count", static_cast<double>(state->made.compile_attempts)));
    rows.push_back(fact(made, "surfaces", static_cast<double>(state->made.surfaces)));
    rows.push_back(fact(made, "surface_bytes", static_cast<double>(state->made.surface_bytes)));
    rows.push_back(fact(row, "output_hash", state->output_hash));
    return rows;
  };
  return subject;
}

}  // namespace

std::vector<Benchmark> layer_suite(const SuiteOptions& options) {
  std::vector<Benchmark> benchmarks;
  const auto states = std::make_shared<States>();
  for (const ModelShape& shape : options.shapes) {
    validate::Case c;
    c.kernel = "layer";
    c.shape = shape;
    c.variant = options.variant;
    c.seed = options.seed;
    for (const bool forward : {true, false}) {
      Benchmark benchmark;
      const char* phase = forward ? "layer_forward" : "layer_backward";
      benchmark.name = std::string(phase) + "/" + case_name(c);
      benchmark.row = case_row(c, phase);
      benchmark.prepare = [cases = options.cases, states, c, forward] {
        return layer_subject(cases, states, c, forward);
      };
      benchmarks.push_back(std::move(benchmark));
    }
  }
  return benchmarks;
}

}  // namespace aneval::bench
