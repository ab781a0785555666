#!/usr/bin/env python3
"""Checks `aneval run --op layer_backward --backend reference` against PyTorch's autograd in float64.

An independent oracle: the layer below is written with PyTorch's own operations from the model's description, and its
gradients come from autograd, so that neither the formulas nor the code of the reference can hide an error here.

    python3 reference/oracle_test.py build/release/aneval

For every case random tensors are written as safetensors and the command's y and gradients must satisfy
|delta|_2 / |g|_2 <= 3e-5, fp32 against fp64: a product of n terms errs by about 0.4*sqrt(n)*2^-24 of itself, and 14
products of at most 3072 terms in a row give 14*0.4*sqrt(3072)*6e-8 = 1.9e-5. Exit code 0 when all hold, 1 when one does
not, 77 without PyTorch.
"""
import argparse
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    import torch
except ImportError as missing:
    print(f"skipped: {missing} (install python3-torch and python3-numpy)")
    sys.exit(77)

LIMIT = 3e-5

SMALL = dict(dim=48, hidden=80, heads=4, kv_heads=4, head_dim=16, seq=24, layers=3, vocab=7)
CASES = {
    "ratio 1": SMALL,
    "ratio 2": {**SMALL, "kv_heads": 2},
    "ratio 4, residual scale 1": {**SMALL, "heads": 8, "kv_heads": 2, "residual_scale": 1.0},
    "one key/value head": {**SMALL, "kv_heads": 1},
    "half pairing, base 1e6": {**SMALL, "kv_heads": 2, "rope_pairing": "half", "rope_base": 1e6},
    "large eps": {**SMALL, "kv_heads": 2, "rms_eps": 0.5},
    "one token": {**SMALL, "kv_heads": 2, "seq": 1},
    "odd sizes": dict(dim=37, hidden=53, heads=6, kv_heads=3, head_dim=10, seq=33, layers=2, vocab=7),
    "Qwen3-0.6B widths": dict(dim=1024, hidden=3072, heads=16, kv_heads=8, head_dim=128, seq=64, layers=28, vocab=7),
}


def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name, value in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [offset, offset + value.nbytes]}
        offset += value.nbytes
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for value in tensors.values():
            file.write(value.astype("<f4").tobytes())


def read_safetensors(path):
    content = Path(path).read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + o for o in entry["data_offsets"])
        tensors[name] = np.frombuffer(content[begin:end], dtype="<f4").reshape(entry["shape"]).astype(np.float64)
    return tensors


def random_tensors(m, seed):
    random = np.random.default_rng(seed)
    q, kv = m["heads"] * m["head_dim"], m["kv_heads"] * m["head_dim"]

    def weight(out, fan_in):
        return random.normal(0, fan_in**-0.5, (out, fan_in))

    d, f = m["dim"], m["hidden"]
    tensors = {
        "x": random.normal(0, 1, (d, m["seq"])), "dy": random.normal(0, 1, (d, m["seq"])),
        "wq": weight(q, d), "wk": weight(kv, d), "wv": weight(kv, d), "wo": weight(d, q),
        "w1": weight(f, d), "w2": weight(d, f), "w3": weight(f, d),
        "rms_att": random.normal(1.3, 0.5, d), "rms_ffn": random.normal(0.7, 0.5, d),
    }  # fmt: skip
    return {name: value.astype(np.float32) for name, value in tensors.items()}


def rope(t, m):
    """Rotates [heads, S, h] by multiplying complex numbers."""
    h, seq = m["head_dim"], t.shape[1]
    frequencies = m.get("rope_base", 10000.0) ** (-torch.arange(0, h, 2, dtype=torch.float64) / h)
    angles = torch.outer(torch.arange(seq, dtype=torch.float64), frequencies)
    turn = torch.polar(torch.ones_like(angles), angles)
    if m.get("rope_pairing", "interleaved") == "interleaved":
        pairs = torch.view_as_complex(t.reshape(t.shape[0], seq, h // 2, 2).contiguous()) * turn
        return torch.view_as_real(pairs).reshape(t.shape)
    pairs = torch.complex(t[..., : h // 2].contiguous(), t[..., h // 2 :].contiguous()) * turn
    return torch.cat([pairs.real, pairs.imag], dim=-1)


def layer(m, t):
    """The layer with tokens first, as PyTorch programs have it; t holds [D, S] and [out, in] tensors."""
    seq, h = m["seq"], m["head_dim"]
    eps = m.get("rms_eps", 1e-5)
    scale = m.get("residual_scale", (2 * m["layers"]) ** -0.5)

    def norm(v, w):
        return v * torch.rsqrt(v.pow(2).mean(-1, keepdim=True) + eps) * w

    def split(v):
        return v.view(seq, -1, h).transpose(0, 1)

    x = t["x"].T
    xn = norm(x, t["rms_att"])
    linear = torch.nn.functional.linear
    q, k, v = (split(linear(xn, t[name])) for name in ("wq", "wk", "wv"))
    q, k = rope(q, m), rope(k, m)
    ratio = m["heads"] // m["kv_heads"]
    k, v = k.repeat_interleave(ratio, 0), v.repeat_interleave(ratio, 0)
    mask = torch.full((seq, seq), float("-inf"), dtype=torch.float64).triu(1)
    probs = torch.softmax(q @ k.transpose(1, 2) / h**0.5 + mask, -1)
    attn = (probs @ v).transpose(0, 1).reshape(seq, -1)
    x = x + scale * linear(attn, t["wo"])
    xm = norm(x, t["rms_ffn"])
    y = x + scale * linear(torch.nn.functional.silu(linear(xm, t["w1"])) * linear(xm, t["w3"]), t["w2"])
    return y.T


def expected_results(m, tensors):
    leaves = {name: torch.tensor(value, dtype=torch.float64) for name, value in tensors.items()}
    dy = leaves.pop("dy")
    for leaf in leaves.values():
        leaf.requires_grad_(True)
    y = layer(m, leaves)
    y.backward(dy)
    return {"y": y.detach().numpy(), **{"d" + name: leaf.grad.numpy() for name, leaf in leaves.items()}}


def actual_results(aneval, m, tensors, folder):
    (folder / "model.json").write_text(json.dumps({"name": "oracle", **m}))
    write_safetensors(folder / "in.safetensors", tensors)
    command = [aneval, "run", "--op", "layer_backward", "--backend", "reference", "--model", folder / "model.json",
               "--tensors", folder / "in.safetensors", "--out", folder / "out.safetensors"]  # fmt: skip
    subprocess.run([str(part) for part in command], check=True)
    return read_safetensors(folder / "out.safetensors")


def relative_error(actual, expected):
    """Infinite for a missing tensor, another shape, or anything that is not a number."""
    if actual is None or actual.size != expected.size:
        return float("inf")
    error = np.linalg.norm(actual.reshape(expected.shape) - expected)
    size = np.linalg.norm(expected)
    # With one token the gradients of wq and wk are zero but for autograd's own rounding.
    if size < 1e-12:
        return error
    return error / size if np.isfinite(error) else float("inf")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("aneval", help="path of the aneval binary")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    failures = 0
    print(f"seed {options.seed}, limit {LIMIT:g}\n{'case':28}{'worst tensor':>14}{'error':>11}")
    for number, (name, m) in enumerate(CASES.items()):
        tensors = random_tensors(m, options.seed + number)
        with tempfile.TemporaryDirectory() as folder:
            try:
                actual = actual_results(options.aneval, m, tensors, Path(folder))
            except (subprocess.CalledProcessError, OSError, ValueError) as problem:
                print(f"{name:28}  FAILED: {problem}")
                failures += 1
                continue
        errors = {key: relative_error(actual.get(key), value) for key, value in expected_results(m, tensors).items()}
        worst = max(errors, key=errors.get)
        bad = [key for key, error in errors.items() if not error <= LIMIT]
        print(f"{name:28}{worst:>14}{errors[worst]:>11.1e}" + (f"  FAILED: {' '.join(bad)}" if bad else ""))
        failures += bool(bad)
    print(f"{len(CASES) - failures} of {len(CASES)} cases agree")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
