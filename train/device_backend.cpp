// The layers on a device. Every layer has tensors of its own, so that weight gradients can still be made of one layer's
// while the device works on the next.
#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <limits>
#include <mutex>
#include <thread>

#include "ane/cpu_ops.h"
#include "train/layer_backend.h"

namespace aneval::train {
namespace {

/// One thread that runs jobs in their order, so that sums which accumulate have the bits of a single thread.
class OrderedWorker {
 public:
  OrderedWorker() : thread_([this] { run(); }) {}
  ~OrderedWorker() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  OrderedWorker(const OrderedWorker&) = delete;
  OrderedWorker& operator=(const OrderedWorker&) = delete;

  void add(std::function<void()> job) {
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    changed_.notify_all();
  }
  /// Until all jobs are done; rethrows what the first failing one threw. Returns the nanoseconds they took.
  std::int64_t wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return jobs_.empty() && !busy_; });
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    return std::exchange(nanoseconds_, 0);
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
      if (stop_) return;
      const std::function<void()> job = std::move(jobs_.front());
      jobs_.pop_front();
      busy_ = true;
      lock.unlock();
      const auto begin = std::chrono::steady_clock::now();
      std::exception_ptr error;
      try {
        job();
      } catch (...) {
        error = std::current_exception();
      }
      const auto passed = std::chrono::steady_clock::now() - begin;
      lock.lock();
      nanoseconds_ += std::chrono::duration_cast<std::chrono::nanoseconds>(passed).count();
      if (error && !error_) error_ = error;
      busy_ = false;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  bool busy_ = false, stop_ = false;
  std::int64_t nanoseconds_ = 0;
  std::exception_ptr error_;
  std::thread thread_;  // last: it uses all the others
};

class DeviceBackend : public LayerBackend {
 public:
  DeviceBackend(ane::LayerPrograms& programs, const DeviceBackendOptions& options) : options_(options) {
    ane::CpuOps ops = ane::CpuOps::builtin();
    if (options.overlap_weight_gradients) {
      worker_ = std::make_unique<OrderedWorker>();
      ops.replace(ane::CpuOp::weight_gradient, [this](const ane::CpuCall& call) { queue_gradient(call); });
    }
    const auto layers = static_cast<std::size_t>(programs.shape().layers);
    for (std::size_t i = 0; i < layers; ++i)
      layers_.push_back(std::make_unique<ane::Layer>(programs, options.pool, ops));
    tensors_.resize(layers);
    for (const auto* steps : {&programs.plan().forward})
      for (const ane::PlanStep& step : *steps)
        for (const auto& [block, tensor] : step.outputs)
          if (!step.on_surface.contains(tensor)) activations_.push_back(tensor);
  }

  void stage(const std::vector<NamedTensors>& layers, std::int64_t, PhaseTimes& times) override {
    const ane::StageObserver timed = [&](std::string_view phase, std::int64_t ns) { times.add("step", phase, ns); };
    for (std::size_t i = 0; i < layers_.size(); ++i) layers_[i]->stage(layers[i], timed);
  }

  const Tensor& forward(std::size_t layer, const Tensor& x, PhaseTimes& times) override {
    NamedTensors& tensors = tensors_[layer];
    tensors["x"] = x;
    layers_[layer]->forward(tensors, timed("forward", layer, times));
    return tensors.at("y");
  }

  const Tensor& backward(std::size_t layer, const Tensor& dy, NamedTensors& gradients, PhaseTimes& times) override {
    NamedTensors& tensors = tensors_[layer];
    tensors["dy"] = dy;
    // The layer accumulates into tensors of its own map: they move there and back, their elements stay where they are.
    for (auto& [name, gradient] : gradients) tensors["d" + name] = std::move(gradient);
    layers_[layer]->backward(tensors, timed("backward", layer, times));
    for (auto& [name, gradient] : gradients) gradient = std::move(tensors.at("d" + name));
    return tensors.at("dx");
  }

  void finish(PhaseTimes& times) override {
    if (!worker_) return;
    const PhaseScope scope(times, "backward", "weight_grad");
    times.add("worker", "weight_grad", worker_->wait());
  }

  double largest_activation() const override {
    double largest = 0;
    for (const NamedTensors& tensors : tensors_)
      for (const std::string& name : activations_) largest = std::max(largest, largest_magnitude(tensors.at(name)));
    return largest;
  }

 private:
  ane::StepObserver timed(std::string_view direction, std::size_t layer, PhaseTimes& times) const {
    return [this, direction, layer, &times](const ane::PlanStep& step, std::string_view phase, std::int64_t ns) {
      times.add(direction, phase, ns);
      if (options_.evaluated && phase == "eval")
        options_.evaluated(layer, layers_[layer]->kernel(step.kernel), layers_[layer]->request(step.kernel));
    };
  }

  /// The operands stay as they are until finish(): each layer writes its own once per pass.
  void queue_gradient(const ane::CpuCall& call) {
    const Tensor &dout = *call.in.at(0), &act = *call.in.at(1);
    worker_->add([dout = std::span(dout.data), act = std::span(act.data), out = dout.rows(), in = act.rows(),
                  seq = dout.cols(), dw = call.output(0, {dout.rows(), act.rows()})] {
      ane::accumulate_weight_gradient(dout, act, out, in, seq, dw);
    });
  }

  DeviceBackendOptions options_;
  std::vector<NamedTensors> tensors_;     // of each layer, all that its plan makes
  std::vector<std::string> activations_;  // their names, forward
  std::vector<std::unique_ptr<ane::Layer>> layers_;
  std::unique_ptr<OrderedWorker> worker_;  // last: its jobs use the tensors
};

}  // namespace

double largest_magnitude(const Tensor& tensor) {
  float largest = 0;
  for (const float value : tensor.data)
    // Not a maximum: NaN must not be lost in it.
    if (!(std::abs(value) <= largest))
      largest = std::isfinite(value) ? std::abs(value) : std::numeric_limits<float>::infinity();
  return static_cast<double>(largest);
}

std::unique_ptr<LayerBackend> make_device_backend(ane::LayerPrograms& programs, const DeviceBackendOptions& options) {
  return std::make_unique<DeviceBackend>(programs, options);
}

}  // namespace aneval::train
