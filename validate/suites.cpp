#include "validate/suites.h"

#include <algorithm>

#include "ane/layer_plan.h"
#include "validate/case_data.h"

namespace aneval::validate {
namespace {

ModelShape small_shape(const char* name, std::int64_t dim, std::int64_t hidden, std::int64_t heads,
                       std::int64_t kv_heads, std::int64_t head_dim, std::int64_t seq,
                       RopePairing pairing = RopePairing::interleaved) {
  ModelShape shape;
  shape.name = name;
  shape.dim = dim;
  shape.hidden = hidden;
  shape.heads = heads;
  shape.kv_heads = kv_heads;
  shape.head_dim = head_dim;
  shape.seq = seq;
  shape.layers = 2;
  shape.vocab = 64;
  shape.residual_scale = 0.5;
  shape.rope_pairing = pairing;
  return shape;
}

Case make_case(const std::string& kernel, const SuiteOptions& options, DataKind data, double amplitude,
               double gradient) {
  Case c;
  c.kernel = kernel;
  c.shape = options.shape;
  c.variant = options.variant;
  c.data = data;
  c.amplitude = amplitude;
  c.gradient = gradient;
  c.seed = options.seed;
  if (kernel == "dynMatmul") {
    c.ic = c.shape.dim;
    c.oc = c.shape.hidden;
  }
  return c;
}

/// Every variant whose kernels differ from the default in one choice. Left out: cyclic_fwd, which is wrong on purpose,
/// and other cuts (values that change which kernels there are), whose kernels are those of the registry in any variant.
std::vector<ane::Variant> single_variants() {
  std::vector<ane::Variant> variants;
  for (const ane::VariantChoice& choice : ane::variant_choices()) {
    for (std::size_t value = 1; value < choice.values.size(); ++value) {
      ane::Variant variant;
      choice.set(variant, value);
      if (ane::layer_plan(variant).kernels() != ane::layer_plan({}).kernels()) continue;
      if (variant.head_map != ane::HeadMap::cyclic_fwd) variants.push_back(variant);
    }
  }
  return variants;
}

ane::PackedLayout layout_of(const ane::KernelSpec& spec, const Case& c) {
  return spec.layout({c.shape, c.variant, c.ic, c.oc});
}

bool takes_gradients(const ane::PackedLayout& layout) {
  return std::any_of(layout.slots().begin(), layout.slots().end(), [](const ane::Slot& slot) {
    return slot.kind == ane::SlotKind::activation && is_gradient(slot.name);
  });
}

bool is_one_product(const ane::PackedLayout& layout) {
  return std::ranges::count(layout.operands(), ane::SlotKind::weight, &ane::Slot::kind) == 1;
}

/// Whether queries meet keys: both lie on the surface, or the weights that make them.
bool attends(const ane::PackedLayout& layout) {
  const std::vector<ane::Slot> operands = layout.operands();
  const auto has = [&](std::string_view name) {
    return std::ranges::find(operands, name, &ane::Slot::name) != operands.end();
  };
  return (has("q") && has("k_tiled")) || (has("q_rope") && has("k_rope")) || (has("wq_t") && has("wk_t"));
}

}  // namespace

std::vector<Case> shape_cases(const ane::KernelRegistry& registry, const SuiteOptions& options) {
  const bool full = options.extent == Extent::full;
  const std::vector<double> amplitudes = full ? std::vector<double>{0.3, 1, 2.5} : std::vector<double>{1};
  std::vector<Case> cases;
  for (const ane::KernelSpec& spec : registry.of_variant(options.variant)) {
    const auto add = [&](DataKind data, double amplitude, double gradient) {
      cases.push_back(make_case(spec.name, options, data, amplitude, gradient));
    };
    add(DataKind::exact, 1, 1);
    const ane::PackedLayout layout = layout_of(spec, cases.back());
    for (const double amplitude : amplitudes) {
      add(DataKind::random, amplitude, 1);
      // Gradients of the size that training has: whether they survive is the question.
      if (takes_gradients(layout)) add(DataKind::random, amplitude, 1e-3);
    }
    if (full)
      for (const DataKind kind : kStructuredKinds) add(kind, 1, 1);
    else if (attends(layout))
      add(DataKind::sinks, 1, 1);
    else if (is_one_product(layout))  // the others take longest and are sums of such
      add(DataKind::means, 1, 1);
  }
  return cases;
}

std::vector<Case> edge_cases(const ane::KernelRegistry& registry, const SuiteOptions& options) {
  std::vector<Case> cases;
  const auto add = [&](const ModelShape& shape, const ane::Variant& variant) {
    SuiteOptions at = options;
    at.shape = shape;
    at.variant = variant;
    for (const ane::KernelSpec& spec : registry.all()) {
      cases.push_back(make_case(spec.name, at, DataKind::exact, 1, 1));
      cases.push_back(make_case(spec.name, at, DataKind::random, 1, 1));
    }
  };
  for (const ModelShape& shape : edge_shapes()) add(shape, {});
  for (const ane::Variant& variant : single_variants()) add(edge_shapes().front(), variant);
  return cases;
}

const std::vector<ModelShape>& edge_shapes() {
  // The first one also meets every variant.
  static const std::vector<ModelShape> shapes = {
      small_shape("ratio2", 64, 172, 8, 4, 8, 40),
      small_shape("one-token", 64, 96, 4, 2, 16, 1),
      small_shape("ratio1-odd-length", 96, 200, 3, 3, 32, 37),
      small_shape("ratio4", 80, 160, 8, 2, 16, 33),
      small_shape("ratio8-wide-heads", 48, 64, 8, 1, 128, 24),
      small_shape("half-pairing", 64, 128, 4, 2, 24, 29, RopePairing::half),
      small_shape("head-dim-64-odd-width", 75, 101, 4, 2, 64, 31),
      small_shape("several-tiles", 32, 48, 4, 1, 16, 300),  // of causal=tiles, and a shorter one
  };
  return shapes;
}

}  // namespace aneval::validate
