// One layer of the transformer, forward and backward, written from the mathematics (docs/layer.md), not from the
// kernels: it shares no code with ane/.
#pragma once

#include "reference/matrix.h"

namespace aneval::reference {

/// From x [D, S], wq, wk, wv, wo, w1, w2, w3, rms_att, rms_ffn. Returns every intermediate by name:
/// xn q k (both after RoPE) v probs [H·S, S] attn o x2 xm h1 h3 g y. S is that of x, not of the shape. Folding the
/// score scale does not change what a layer means: options.folded_scale is ignored.
/// Errors name the tensor that is missing or of the wrong shape.
template <class T>
Matrices<T> layer_forward(const ModelShape& shape, const Options& options, const Matrices<T>& input);

/// The exact adjoint. `tape` is what layer_forward returned for `input`, dy is [D, S]. Returns every intermediate and
/// gradient by name: dffn dsilu dh1 dh3 dx_ffn dx2 dxo (= a·dx2) da dp [H·S, S] dv_full dk_full [Q, S]
/// dq_rope dk_rope (before the inverse rotation) dq dk dv dx_q dx_kv dx dwq dwk dwv dwo dw1 dw2 dw3 drms_att drms_ffn.
template <class T>
Matrices<T> layer_backward(const ModelShape& shape, const Options& options, const Matrices<T>& input,
                           const Matrices<T>& tape, const Matrix<T>& dy);

/// The same into tensors of an earlier call, whose memory is used again: for loops, where fresh pages cost a seventh of
/// the time. The outputs may not be the inputs.
template <class T>
void layer_forward(const ModelShape& shape, const Options& options, const Matrices<T>& input, Matrices<T>& tape);
template <class T>
void layer_backward(const ModelShape& shape, const Options& options, const Matrices<T>& input, const Matrices<T>& tape,
                    const Matrix<T>& dy, Matrices<T>& gradients);

extern template void layer_forward(const ModelShape&, const Options&, const Matrices<float>&, Matrices<float>&);
extern template void layer_backward(const ModelShape&, const Options&, const Matrices<float>&, const Matrices<float>&,
                                    const Matrix<float>&, Matrices<float>&);
extern template Matrices<float> layer_forward(const ModelShape&, const Options&, const Matrices<float>&);
extern template Matrices<float> layer_backward(const ModelShape&, const Options&, const Matrices<float>&,
                                               const Matrices<float>&, const Matrix<float>&);
extern template void layer_forward(const ModelShape&, const Options&, const Matrices<double>&, Matrices<double>&);
extern template void layer_backward(const ModelShape&, const Options&, const Matrices<double>&, const Matrices<double>&,
                                    const Matrix<double>&, Matrices<double>&);
extern template Matrices<double> layer_forward(const ModelShape&, const Options&, const Matrices<double>&);
extern template Matrices<double> layer_backward(const ModelShape&, const Options&, const Matrices<double>&,
                                                const Matrices<double>&, const Matrix<double>&);

}  // namespace aneval::reference
