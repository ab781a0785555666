#!/usr/bin/env python3
"""Recomputes a dumped training step with PyTorch in float64: the loss and every gradient.

    aneval train --dump-step 3 --dump-names hf --out training
    python3 reference/step_oracle.py training/step-3.safetensors

An independent oracle in Hugging Face's layout: the model below is written from the description of a Llama model (lanes
of a head turned as halves by rotate_half, key/value heads repeated by repeat_interleave), its gradients come from
autograd, and names, order of lanes, tokens and scales are taken as docs/interop.md says, not from aneval's code.

A gradient must satisfy |delta|_2 / |g|_2 <= limit, the loss |delta| / loss <= limit. A device keeps tensors as fp16,
which rounds each by 2^-11 of itself; a gradient of L layers has passed about ten of them per layer: limit =
10*L*2^-11, if all errors were the largest and all added up. Step dumps of the fp32 reference (backend `reference`, made
by tests) are held to 15*L*sqrt(n)*2^-24: as many products, of at most n terms. Chips that drop products of small
gradients err more, and are found (docs/interop.md has figures); `--limit` takes another limit.

Exit code 0 when all hold, 1 when one does not, 2 for a file that is no such dump, 77 without PyTorch.
"""
import argparse
import json
import struct
import sys
from pathlib import Path

try:
    import numpy as np
    import torch
except ImportError as missing:
    print(f"skipped: {missing} (install python3-torch and python3-numpy)")
    sys.exit(77)

TYPES = {"F32": "<f4", "F64": "<f8", "I64": "<i8"}


class BadInput(Exception):
    pass


def read_safetensors(path):
    """Metadata and tensors; floats as float64."""
    try:
        content = Path(path).read_bytes()
        length = struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8 : 8 + length])
        metadata = header.pop("__metadata__", {})
        tensors = {}
        for name, entry in header.items():
            begin, end = (8 + length + o for o in entry["data_offsets"])
            values = np.frombuffer(content[begin:end], dtype=TYPES[entry["dtype"]]).reshape(entry["shape"])
            tensors[name] = torch.from_numpy(values.astype(np.int64 if entry["dtype"] == "I64" else np.float64))
    except (OSError, KeyError, ValueError, struct.error) as problem:
        raise BadInput(f"{path}: is no complete safetensors file ({type(problem).__name__}: {problem})") from None
    return metadata, tensors


def rotate_half(x):
    half = x.shape[-1] // 2
    return torch.cat((-x[..., half:], x[..., :half]), dim=-1)


class Llama:
    """Tokens first, as PyTorch programs have it; w holds [out, in] weights by Hugging Face's names."""

    def __init__(self, m, w):
        self.m, self.w = m, w
        # The only thing that a Llama model does not have: 1 for all of Hugging Face's.
        scale = m["residual_scale"]
        self.residual = (2 * m["layers"]) ** -0.5 if scale == "1/sqrt(2L)" else scale
        h = m["head_dim"]
        inverse = 1.0 / m["rope_base"] ** (torch.arange(0, h, 2, dtype=torch.float64) / h)
        angles = torch.outer(torch.arange(m["seq"], dtype=torch.float64), inverse)
        angles = torch.cat((angles, angles), dim=-1)
        self.cos, self.sin = angles.cos(), angles.sin()

    def norm(self, x, name):
        return self.w[name] * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.m["rms_eps"]))

    def attention(self, x, prefix):
        m, seq = self.m, x.shape[0]

        def heads(name):
            return (x @ self.w[prefix + name].T).view(seq, -1, m["head_dim"]).transpose(0, 1)

        q, k, v = heads("q_proj.weight"), heads("k_proj.weight"), heads("v_proj.weight")
        q, k = (t * self.cos + rotate_half(t) * self.sin for t in (q, k))
        ratio = m["heads"] // m["kv_heads"]
        k, v = k.repeat_interleave(ratio, 0), v.repeat_interleave(ratio, 0)
        scores = q @ k.transpose(1, 2) / m["head_dim"] ** 0.5
        scores = scores + torch.full((seq, seq), float("-inf"), dtype=torch.float64).triu(1)
        return (torch.softmax(scores, -1) @ v).transpose(0, 1).reshape(seq, -1) @ self.w[prefix + "o_proj.weight"].T

    def mlp(self, x, prefix):
        gate = torch.nn.functional.silu(x @ self.w[prefix + "gate_proj.weight"].T)
        return (gate * (x @ self.w[prefix + "up_proj.weight"].T)) @ self.w[prefix + "down_proj.weight"].T

    def loss(self, rows, targets):
        x = self.w["model.embed_tokens.weight"][rows]
        for layer in range(self.m["layers"]):
            prefix = f"model.layers.{layer}."
            x = x + self.residual * self.attention(self.norm(x, prefix + "input_layernorm.weight"), prefix + "self_attn.")
            x = x + self.residual * self.mlp(self.norm(x, prefix + "post_attention_layernorm.weight"), prefix + "mlp.")
        x = self.norm(x, "model.norm.weight")
        head = self.w["lm_head.weight"] if "lm_head.weight" in self.w else self.w["model.embed_tokens.weight"]
        return torch.nn.functional.cross_entropy(x @ head.T, targets)


def check_tokens(t):
    """Ids and rows must tell the same story, and each target be the input after it."""
    ids = t["vocabulary_ids"]
    for what in ("inputs", "targets"):
        if not torch.equal(ids[t["rows." + what]], t["tokens." + what]):
            return f"rows.{what} are not the rows of tokens.{what}"
    if not torch.equal(t["tokens.inputs"][:, 1:], t["tokens.targets"][:, :-1]):
        return "a target is not the token after its input"
    return ""


def relative_error(actual, expected):
    """Infinite for anything that is not a number or has another shape."""
    if actual.shape != expected.shape:
        return float("inf")
    size = expected.norm().item()
    # With one token the gradients of wq and wk are zero but for autograd's own rounding.
    error = (actual - expected).norm().item() / (size if size > 1e-12 else 1)
    return error if np.isfinite(error) else float("inf")


def limit_of(m, metadata):
    if metadata["backend"] != "reference":
        return 10 * m["layers"] * 2.0**-11
    terms = max(m["dim"], m["hidden"], m["heads"] * m["head_dim"], m["seq"])
    return 15 * m["layers"] * terms**0.5 * 2.0**-24


def errors_of(m, tensors):
    weights = {name: value.requires_grad_(True) for name, value in tensors.items() if "grad." + name in tensors}
    model = Llama(m, weights)
    pairs = list(zip(tensors["rows.inputs"], tensors["rows.targets"]))
    loss = sum(model.loss(rows, targets) for rows, targets in pairs) / len(pairs)
    loss.backward()
    errors = {"loss": relative_error(tensors["loss"][0], loss.detach())}
    for name, leaf in weights.items():
        errors["grad." + name] = relative_error(tensors["grad." + name], leaf.grad)
    return errors


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="step-N.safetensors, made with --dump-names hf")
    parser.add_argument("--limit", type=float, help="instead of the derived one")
    parser.add_argument("--all", action="store_true", help="print every error, not the five worst ones")
    options = parser.parse_args()
    metadata, tensors = read_safetensors(options.file)
    if metadata.get("names") != "hf" or "aneval_step_dump" not in metadata:
        raise BadInput(f"{options.file}: is no step dump in Hugging Face's names: make it with --dump-names hf")
    m = json.loads(metadata["model"])
    if problem := check_tokens(tensors):
        print(f"FAILED: {problem}")
        return 1
    limit = options.limit or limit_of(m, metadata)
    errors = errors_of(m, tensors)
    print(f"{options.file}: step {metadata['step']} on {metadata['backend']} {metadata['profile']}, "
          f"loss {tensors['loss'].item():.6f}, limit {limit:.2g}")  # fmt: skip
    for name in sorted(errors, key=errors.get, reverse=True)[: None if options.all else 5]:
        print(f"  {name:52}{errors[name]:>10.1e}{'' if errors[name] <= limit else '  FAILED'}")
    bad = sum(not error <= limit for error in errors.values())
    print(f"{'FAILED: ' if bad else ''}{len(errors) - bad} of {len(errors)} agree")
    return 1 if bad else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BadInput as problem:
        print(f"step_oracle: {problem}", file=sys.stderr)
        sys.exit(2)
