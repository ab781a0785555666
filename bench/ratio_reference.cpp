// The reference of a layer against nothing but its own matrix products: same shapes, same storage orders, results into
// memory that is there.
#include <memory>

#include "bench/ratios.h"
#include "common/random.h"
#include "reference/layer.h"

namespace aneval::bench {
namespace {

using reference::Matrices;
using reference::Matrix;
using Floats = Matrix<float>;

Floats random_matrix(std::int64_t rows, std::int64_t cols, double sd) {
  Floats m(rows, cols);
  std::vector<float> values(static_cast<std::size_t>(m.size()));
  Random(static_cast<std::uint64_t>(rows * cols)).fill_normal(values, sd);
  std::copy(values.begin(), values.end(), m.data());
  return m;
}

/// Rows [block·count, (block + 1)·count).
template <class M>
auto rows(M& m, std::int64_t block, std::int64_t count) {
  return m.middleRows(block * count, count);
}

/// A layer's inputs, and what its two passes made of them.
struct State {
  explicit State(const ModelShape& s) : shape(s) {
    const std::int64_t d = s.dim, f = s.hidden, q = s.q_dim(), k = s.kv_dim();
    for (const auto& [name, out, in] :
         {std::tuple{"wq", q, d}, {"wk", k, d}, {"wv", k, d}, {"wo", d, q}, {"w1", f, d}, {"w2", d, f}, {"w3", f, d}})
      input[name] = random_matrix(out, in, 0.02);
    input["rms_att"] = input["rms_ffn"] = Floats::Ones(d, 1);
    input["x"] = random_matrix(d, s.seq, 1.0);
    dy = random_matrix(d, s.seq, 1.0);
    forward();
    backward();
  }

  void forward() { reference::layer_forward(shape, {}, input, tape); }
  void backward() { reference::layer_backward(shape, {}, input, tape, dy, gradients); }

  ModelShape shape;
  Matrices<float> input, tape, gradients;
  Floats dy;
};

/// The products of a layer, on the tensors of a pass. What is no tensor of it has a stand-in of its shape.
class Products {
 public:
  explicit Products(const std::shared_ptr<State>& state)
      : s_(*state),
        out_(*state),
        scores_(random_matrix(s_.shape.seq, s_.shape.seq, 0.01)),
        wide_(s_.shape.dim, s_.shape.seq) {}

  void forward() {
    const Matrices<float>&in = s_.input, &t = s_.tape;
    const auto head = [&](auto& m, std::int64_t j) { return rows(m, j, s_.shape.head_dim); };
    multiply(in.at("wq"), t.at("xn"), out_.tape["q"]);
    multiply(in.at("wk"), t.at("xn"), out_.tape["k"]);
    multiply(in.at("wv"), t.at("xn"), out_.tape["v"]);
    for_heads([&](std::int64_t j, std::int64_t g) {
      rows(out_.tape["probs"], j, s_.shape.seq).noalias() = head(t.at("q"), j).transpose() * head(t.at("k"), g);
      head(out_.tape["attn"], j).noalias() = head(t.at("v"), g) * rows(t.at("probs"), j, s_.shape.seq).transpose();
    });
    multiply(in.at("wo"), t.at("attn"), out_.tape["o"]);
    multiply(in.at("w1"), t.at("xm"), out_.tape["h1"]);
    multiply(in.at("w3"), t.at("xm"), out_.tape["h3"]);
    multiply(in.at("w2"), t.at("g"), out_.tape["y"]);
  }

  void backward() {
    const Matrices<float>&in = s_.input, &t = s_.tape, &b = s_.gradients;
    Matrices<float>& out = out_.gradients;
    const auto head = [&](auto& m, std::int64_t j) { return rows(m, j, s_.shape.head_dim); };
    multiply(in.at("w2").transpose(), b.at("dffn"), out["dsilu"]);
    multiply(in.at("w1").transpose(), b.at("dh1"), out["dx_ffn"]);
    multiply(in.at("w3").transpose(), b.at("dh3"), wide_);
    multiply(b.at("dffn"), t.at("g").transpose(), out["dw2"]);
    multiply(b.at("dh1"), t.at("xm").transpose(), out["dw1"]);
    multiply(b.at("dh3"), t.at("xm").transpose(), out["dw3"]);
    multiply(in.at("wo").transpose(), b.at("dxo"), out["da"]);
    multiply(b.at("dxo"), t.at("attn").transpose(), out["dwo"]);
    for_heads([&](std::int64_t j, std::int64_t g) {
      head(out["dv_full"], j).noalias() = head(b.at("da"), j) * rows(t.at("probs"), j, s_.shape.seq);
      rows(out["dp"], j, s_.shape.seq).noalias() = head(b.at("da"), j).transpose() * head(t.at("v"), g);
      head(out["dq_rope"], j).noalias() = head(t.at("k"), g) * scores_.transpose();
      head(out["dk_full"], j).noalias() = head(t.at("q"), j) * scores_;
    });
    multiply(b.at("dq"), t.at("xn").transpose(), out["dwq"]);
    multiply(b.at("dk"), t.at("xn").transpose(), out["dwk"]);
    multiply(b.at("dv"), t.at("xn").transpose(), out["dwv"]);
    multiply(in.at("wq").transpose(), b.at("dq"), out["dx_q"]);
    multiply(in.at("wk").transpose(), b.at("dk"), out["dx_kv"]);
    multiply(in.at("wv").transpose(), b.at("dv"), wide_);
  }

 private:
  template <class Left, class Right>
  static void multiply(const Left& left, const Right& right, Floats& out) {
    out.noalias() = left * right;
  }
  template <class Body>
  void for_heads(const Body& body) const {
    for (std::int64_t j = 0; j < s_.shape.heads; ++j) body(j, j / s_.shape.ratio());
  }

  const State& s_;
  State out_;  // where results go: the layer's own tensors stay as they are
  Floats scores_, wide_;
};

Subject against_products(const ModelShape& shape, bool forward) {
  const auto state = std::make_shared<State>(shape);
  const auto products = std::make_shared<Products>(state);
  Subject subject;
  if (forward) {
    subject.run = [state] { state->forward(); };
    subject.yardstick = [state, products] { products->forward(); };
  } else {
    subject.run = [state] { state->backward(); };
    subject.yardstick = [state, products] { products->backward(); };
  }
  return subject;
}

}  // namespace

std::vector<Benchmark> reference_ratios(const SuiteOptions&) {
  const ModelShape shape = load_model_shape("Qwen3-0.6B");
  std::vector<Benchmark> benchmarks;
  for (const bool forward : {true, false})
    benchmarks.push_back(ratio_benchmark(std::string("reference/layer_") + (forward ? "forward" : "backward"),
                                         in_native_builds(at_least(0.85, "its own products alone")),
                                         [shape, forward] { return against_products(shape, forward); }));
  return benchmarks;
}

}  // namespace aneval::bench
