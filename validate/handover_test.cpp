// Activations that go from kernel to kernel as fp16: the same bits as by way of fp32 tensors, whatever cuts the layer,
// and no tensor, no conversion and no surface more than it takes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "validate/emulated_device.h"
#include "validate/layer_check.h"
#include "validate/suites.h"

namespace aneval::validate {
namespace {

using ::testing::HasSubstr;

/// A layer's tensors, and what its run was told of its phases.
struct LayerRun {
  NamedTensors tensors;
  std::map<std::string, int> phases;
  std::int64_t surfaces = 0;
};

LayerRun run(const std::string& profile, const Case& c, ane::OutputReads reads) {
  const auto device = make_device(profile);
  const ane::KernelRegistry registry = ane::KernelRegistry::builtin();
  ane::LayerPrograms programs(*device, registry, c.shape, c.variant);
  ane::Layer layer(programs, nullptr);
  NamedTensors given = random_layer_tensors(c), weights;
  for (const std::string& name : layer_weights()) weights[name] = given.at(name);
  layer.read_outputs(reads);
  layer.stage(weights);
  LayerRun result;
  const ane::StepObserver count = [&](const ane::PlanStep&, std::string_view phase, std::int64_t) {
    ++result.phases[std::string(phase)];
  };
  // Twice: the second pass finds the surfaces of the first.
  for (int pass = 0; pass < 2; ++pass) {
    result.tensors = {{"x", given.at("x")}, {"dy", given.at("dy")}};
    result.phases.clear();
    layer.forward(result.tensors, count);
    layer.backward(result.tensors, count);
  }
  result.surfaces = device->counters().surfaces;
  return result;
}

Case case_of(const char* shape, const std::string& variant) {
  Case c;
  c.kernel = "layer";
  c.shape = *std::ranges::find(edge_shapes(), shape, &ModelShape::name);
  c.variant = ane::parse_variant(variant);
  return c;
}

TEST(Handover, EveryTensorHasTheSameBits) {
  for (const char* profile : {"ieee", "h13", "h16"})
    for (const char* shape : {"ratio2", "ratio4", "half-pairing"})
      for (const std::string cut : {"", ";silu_backward=kernel;ffn=split", ";wo=fused;pad=32", ";weights=static"}) {
        const LayerRun plain = run(profile, case_of(shape, "handover=fp32" + cut), ane::OutputReads::all);
        for (const std::string way : {"copy", "share"}) {
          const LayerRun handed = run(profile, case_of(shape, "handover=" + way + cut), ane::OutputReads::all);
          ASSERT_EQ(handed.tensors.size(), plain.tensors.size());
          for (const auto& [name, tensor] : plain.tensors)
            EXPECT_EQ(handed.tensors.at(name).data, tensor.data)
                << profile << ' ' << shape << ' ' << way << cut << ' ' << name;
        }
      }
}

TEST(Handover, TensorsThatNobodyReadsAreNotMade) {
  const LayerRun all = run("ieee", case_of("ratio2", "handover=copy"), ane::OutputReads::all);
  for (const std::string way : {"copy", "share"}) {
    const LayerRun needed = run("ieee", case_of("ratio2", "handover=" + way), ane::OutputReads::needed);
    for (const auto& [name, tensor] : all.tensors) {
      const bool on_surface = name == "da" || name == "probs" || name == "dp";
      ASSERT_EQ(needed.tensors.contains(name), !on_surface) << way << ' ' << name;
      if (on_surface) continue;
      EXPECT_EQ(needed.tensors.at(name).data, tensor.data) << name;
    }
  }
  const LayerRun plain = run("ieee", case_of("ratio2", "default"), ane::OutputReads::needed);
  EXPECT_EQ(plain.tensors.size(), all.tensors.size());
}

TEST(Handover, CopiesArePhasesAndSharingSparesASurface) {
  const auto of = [](const char* variant) { return run("ieee", case_of("ratio2", variant), ane::OutputReads::needed); };
  const LayerRun plain = of("default"), copied = of("handover=copy"), shared = of("handover=share");
  EXPECT_EQ(plain.phases.contains("copy"), false);
  EXPECT_EQ(copied.phases.at("copy"), 3);  // woFwd, sdpaBwd1, sdpaBwd2
  EXPECT_EQ(shared.phases.at("copy"), 2);
  EXPECT_EQ(copied.surfaces, plain.surfaces);
  EXPECT_EQ(shared.surfaces, plain.surfaces - 1);
}

}  // namespace
}  // namespace aneval::validate
