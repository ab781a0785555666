// Causal attention, forward and backward, one head at a time. Internal to reference/.
//
// Activations are [heads·h, S]. Probabilities and everything else per pair of positions are [H·S, S]: row
// j·S + query of head j, one column per key. `scale` multiplies the scores. Results go to the last arguments.
#pragma once

#include "reference/blocks.h"

namespace aneval::reference {

/// 1/sqrt(h).
double score_scale(const ModelShape& shape);

/// softmax over the keys up to the query's own of scale·q·kᵀ; exact zeros beyond it.
template <class T>
void attention_probs(const Heads& heads, double scale, const Matrix<T>& q, const Matrix<T>& k, Matrix<T>& probs);

/// P·v per head, [Q, S].
template <class T>
void attention_values(const Heads& heads, const Matrix<T>& probs, const Matrix<T>& v, Matrix<T>& attn);

/// The gradient of the values each query head read, Pᵀ·da, [Q, S].
template <class T>
void attention_dv(const Heads& heads, const Matrix<T>& probs, const Matrix<T>& da, Matrix<T>& dv_full);

/// The gradient of the probabilities, da·vᵀ, [H·S, S], for all pairs, masked ones too, but for those after the end of
/// the query's tile (Options::causal_tile).
template <class T>
void attention_dp(const Heads& heads, Index tile, const Matrix<T>& da, const Matrix<T>& v, Matrix<T>& dp);

/// ds = scale·P∘(dp − rowsum(P∘dp)), dq = ds·k, dk_full = dsᵀ·q (of the keys each query head read), both [Q, S].
template <class T>
void attention_scores_backward(const Heads& heads, double scale, const Matrix<T>& probs, const Matrix<T>& dp,
                               const Matrix<T>& q, const Matrix<T>& k, Matrix<T>& dq, Matrix<T>& dk_full);

}  // namespace aneval::reference
