// Defects of programs: what people who write kernels get wrong. Each keeps the layout, so that nothing but the numbers
// can tell.
#include <algorithm>
#include <cmath>

#include "validate/self_test/defects.h"
#include "validate/self_test/program_edit.h"

namespace aneval::validate {
namespace {

using Applies = std::function<bool(const DefectSite&)>;

/// These kernels, with that many tokens at least: of one token there is nothing to mask, rotate or mix up.
Applies kernels(std::vector<std::string_view> names, std::int64_t tokens = 1) {
  return [names = std::move(names), tokens](const DefectSite& site) {
    return std::find(names.begin(), names.end(), site.kernel()) != names.end() && site.seq() >= tokens;
  };
}

Applies both(Applies a, Applies b) {
  return [a = std::move(a), b = std::move(b)](const DefectSite& site) { return a(site) && b(site); };
}

/// The kernel's own program, changed.
Defect edited(const char* name, const char* summary, Applies applies,
              std::function<void(const DefectSite&, ProgramEdit&)> change) {
  Defect defect{name, summary, Mechanism::program, std::move(applies)};
  defect.program = [change = std::move(change)](const DefectSite& site) {
    ProgramEdit edit(site.spec.program(site.config, site.layout));
    change(site, edit);
    return edit.finish();
  };
  return defect;
}

/// The program of another configuration, on the layout of this one.
Defect configured(const char* name, const char* summary, Applies applies, void (*change)(ane::KernelConfig&)) {
  Defect defect{name, summary, Mechanism::program, std::move(applies)};
  defect.program = [change](const DefectSite& site) {
    ane::KernelConfig other = site.config;
    change(other);
    return site.spec.program(other, site.layout);
  };
  return defect;
}

double root_of_head_dim(const DefectSite& site, double more) {
  return std::sqrt(static_cast<double>(site.config.shape.head_dim) + more);
}

/// Changes the causal mask, element (query, key).
std::function<void(const DefectSite&, ProgramEdit&)> masked(
    std::function<void(std::int64_t query, std::int64_t key, std::int64_t seq, double& mask)> change) {
  return [change = std::move(change)](const DefectSite& site, ProgramEdit& edit) {
    const std::int64_t seq = site.seq();
    edit.change_weights("causal_mask", [&](std::span<double> mask) {
      for (std::int64_t query = 0; query < seq; ++query)
        for (std::int64_t key = 0; key < seq; ++key)
          change(query, key, seq, mask[static_cast<std::size_t>(query * seq + key)]);
    });
  };
}

/// Padded masks and rotation tables have other places.
bool unpadded(const DefectSite& site) { return site.config.variant.pad == ane::Pad::none; }
/// Masks and products of one piece: tiles have several.
bool one_piece(const DefectSite& site) { return site.config.variant.causal == ane::Causal::mask; }
/// What looks at RoPE's tables lane by lane, or at its operands.
bool tokens_first(const DefectSite& site) { return site.config.variant.rope != ane::Rope::planar; }
bool grouped_heads(const DefectSite& site) {
  return site.config.shape.ratio() > 1 && site.config.shape.kv_heads > 1 &&
         site.config.variant.head_map == ane::HeadMap::grouped;
}
/// The sum of two products is used by another operation: of convolutions it may be the program's result itself.
bool uses_sum(const DefectSite& site) {
  return site.config.variant.product == ane::Product::matmul || site.kernel() == "ffnBwdSiluW13t";
}
bool scales_scores(const DefectSite& site) { return site.config.variant.score_scale == ane::ScoreScale::multiply; }

std::vector<Defect> attention_defects() {
  const Applies attention =
      both(both(kernels({"sdpaFwd", "sdpaWoFwd", "sdpaCore", "sdpaBwd1", "sdpaBwd"}, 3), unpadded), one_piece);
  const Applies scores =
      both(kernels({"sdpaFwd", "sdpaWoFwd", "sdpaCore", "sdpaBwd1", "sdpaBwd2", "sdpaBwd"}, 2), scales_scores);
  std::vector<Defect> all;
  all.push_back(configured("cyclic_head_map", "query head j attends with key/value head j mod G, forward only",
                           both(kernels({"sdpaFwd", "sdpaWoFwd", "sdpaCore"}, 2), grouped_heads),
                           [](ane::KernelConfig& c) { c.variant.head_map = ane::HeadMap::cyclic_fwd; }));
  all.push_back(edited("mask_sees_next", "the causal mask lets every query see the next key", attention,
                       masked([](std::int64_t query, std::int64_t key, std::int64_t, double& mask) {
                         if (key == query + 1) mask = 0;
                       })));
  all.push_back(edited("mask_hides_self", "the causal mask hides a query's own key", attention,
                       masked([](std::int64_t query, std::int64_t key, std::int64_t, double& mask) {
                         if (key == query && key > 0) mask = -ane::kHalfMax;
                       })));
  all.push_back(edited("mask_is_weak", "the causal mask adds -8 instead of the largest negative number", attention,
                       masked([](std::int64_t, std::int64_t, std::int64_t, double& mask) {
                         if (mask < 0) mask = -8;
                       })));
  all.push_back(edited("key_dropped", "one key in the middle is masked", attention,
                       masked([](std::int64_t, std::int64_t key, std::int64_t seq, double& mask) {
                         if (key == seq / 2) mask = -ane::kHalfMax;
                       })));
  all.push_back(edited("scale_of_h_plus_1", "scores are scaled by 1/sqrt(h+1)", scores,
                       [](const DefectSite& site, ProgramEdit& edit) {
                         edit.set_scalar("score_scale", 1 / root_of_head_dim(site, 1));
                       }));
  all.push_back(edited("scale_1_percent", "scores are scaled 1 % too much", scores,
                       [](const DefectSite& site, ProgramEdit& edit) {
                         edit.set_scalar("score_scale", 1.01 / root_of_head_dim(site, 0));
                       }));
  all.push_back(
      edited("softmax_over_queries", "softmax runs along the queries", attention,
             [](const DefectSite&, ProgramEdit& edit) { edit.set_constant_argument("probabilities", "axis", {-2}); }));
  all.push_back(edited("product_not_transposed", "dV = P·dO and dK = dS·Q instead of the transposes",
                       both(kernels({"sdpaBwd1", "sdpaBwd2", "sdpaBwd"}, 2), one_piece),
                       [](const DefectSite& site, ProgramEdit& edit) {
                         // With flags the product itself is the transpose: xᵀ·P where xᵀ·Pᵀ is wrong.
                         const bool flags = site.config.variant.transposes == ane::Transposes::flags;
                         edit.set_constant_argument(site.kernel() == "sdpaBwd1" ? "dv_h" : "dk_h",
                                                    flags ? "transpose_y" : "transpose_x", {flags ? 1.0 : 0.0});
                       }));
  all.push_back(edited("row_sum_over_queries", "the row sum of P·dP runs along the queries",
                       both(both(kernels({"sdpaBwd2", "sdpaBwd"}, 2), one_piece),
                            [](const DefectSite& site) { return site.config.variant.row_sum == ane::RowSum::reduce; }),
                       [](const DefectSite& site, ProgramEdit& edit) {
                         edit.set_constant_argument("row_sum", "axes", {-2});
                         const ane::Axes axes = ane::Axes::of(site.config.shape, site.config.variant);
                         edit.set_type("row_sum", {1, site.config.shape.heads, 1, axes.seq.padded_size()});
                       }));
  return all;
}

std::vector<Defect> rotation_defects() {
  const Applies rotates = both(kernels({"sdpaFwd", "sdpaWoFwd"}, 2), unpadded);
  std::vector<Defect> all;
  all.push_back(edited("rope_sign", "RoPE turns the other way", rotates, [](const DefectSite&, ProgramEdit& edit) {
    edit.change_weights("rope_sin", [](std::span<double> sin) {
      for (double& value : sin) value = -value;
    });
  }));
  all.push_back(configured(
      "rope_pairing", "RoPE pairs the lanes as the other convention does", rotates, [](ane::KernelConfig& c) {
        c.shape.rope_pairing = c.shape.rope_pairing == RopePairing::half ? RopePairing::interleaved : RopePairing::half;
      }));
  all.push_back(configured("rope_base", "RoPE has the base of another model, 500000", rotates,
                           [](ane::KernelConfig& c) { c.shape.rope_base = 500000; }));
  all.push_back(edited("rope_late", "RoPE's positions begin with 1", both(rotates, tokens_first),
                       [](const DefectSite& site, ProgramEdit& edit) {
                         // Angles are position · base^(−2i/h): one more of position 1, by the addition theorems.
                         const auto h = static_cast<std::size_t>(site.config.shape.head_dim);
                         std::vector<double> cos, sin;
                         edit.change_weights("rope_cos", [&](std::span<double> x) { cos.assign(x.begin(), x.end()); });
                         edit.change_weights("rope_sin", [&](std::span<double> x) { sin.assign(x.begin(), x.end()); });
                         edit.change_weights("rope_cos", [&](std::span<double> x) {
                           for (std::size_t i = 0; i < x.size(); ++i)
                             x[i] = cos[i] * cos[h + i % h] - sin[i] * sin[h + i % h];
                         });
                         edit.change_weights("rope_sin", [&](std::span<double> x) {
                           for (std::size_t i = 0; i < x.size(); ++i)
                             x[i] = sin[i] * cos[h + i % h] + cos[i] * sin[h + i % h];
                         });
                       }));
  all.push_back(edited("keys_not_rotated", "attention takes the keys before RoPE",
                       both(both(rotates, tokens_first), one_piece), [](const DefectSite&, ProgramEdit& edit) {
                         edit.replace_uses("k_roped", "k_h", [](const mil::Operation& operation) {
                           return operation.result.starts_with("k_head") || operation.result == "k_tiled" ||
                                  operation.result == "scores";
                         });
                       }));
  return all;
}

std::vector<Defect> feed_forward_defects() {
  std::vector<Defect> all;
  all.push_back(configured("residual_scale_missing", "the residual is added with scale 1",
                           both(kernels({"ffnFused", "ffnDown"}),
                                [](const DefectSite& site) { return site.config.shape.residual_scale != 1; }),
                           [](ane::KernelConfig& c) { c.shape.residual_scale = 1; }));
  all.push_back(edited("silu_is_sigmoid", "the gate is the sigmoid, without its factor x",
                       kernels({"ffnFused", "ffnUpGate"}),
                       [](const DefectSite&, ProgramEdit& edit) { edit.set_argument("g_s", "x", "sigma"); }));
  all.push_back(edited("second_term_missing", "of two products that are added, the first alone is the result",
                       both(kernels({"ffnBwdW13t", "ffnBwdSiluW13t", "kvBwd"}), uses_sum),
                       [](const DefectSite& site, ProgramEdit& edit) {
                         const std::string first = site.kernel() == "kvBwd" ? "wk_product" : "w1_product";
                         edit.replace_uses("sum", first, [](const mil::Operation&) { return true; });
                       }));
  all.push_back(edited("gate_without_slope", "the gradient of the gate lacks SiLU's term x·σ'",
                       kernels({"ffnBwdSiluW13t"}),
                       [](const DefectSite&, ProgramEdit& edit) { edit.set_argument("dh1", "y", "one"); }));
  return all;
}

}  // namespace

std::vector<Defect> program_defects() {
  std::vector<Defect> all;
  for (const auto part : {attention_defects, rotation_defects, feed_forward_defects})
    for (Defect& defect : part()) all.push_back(std::move(defect));
  return all;
}

}  // namespace aneval::validate
