#!/usr/bin/env python3
"""Loading, training, dumping and step_oracle.py together, and that the oracle finds what it is there for.

    python3 reference/step_oracle_test.py build/release/aneval

Models are made here with PyTorch in Hugging Face's layout, sharded and in several types, so that reading them and
writing them back is held against something that shares no code with aneval. Exit code 0 when all holds, 77 without
PyTorch.
"""
import argparse
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import step_oracle
import numpy as np
import torch

CONFIG = dict(model_type="llama", hidden_act="silu", hidden_size=64, intermediate_size=96, num_hidden_layers=2,
              num_attention_heads=4, num_key_value_heads=2, head_dim=16, vocab_size=256, rope_theta=500000.0,
              rms_norm_eps=1e-6, tie_word_embeddings=False)  # fmt: skip
# What a dump holds is what a bf16, fp16 or fp32 model holds, bit for bit.
MODELS = {
    "bf16, untied, two shards": (CONFIG, "BF16", 2),
    "fp16, tied": ({**CONFIG, "tie_word_embeddings": True}, "F16", 1),
    "fp32, eight heads on two": ({**CONFIG, "num_attention_heads": 8, "num_hidden_layers": 3}, "F32", 3),
}


def tensors_of(config):
    d, f, h = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    q, kv = config["num_attention_heads"] * h, config["num_key_value_heads"] * h
    shapes = {"model.embed_tokens.weight": (config["vocab_size"], d), "model.norm.weight": (d,)}
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (config["vocab_size"], d)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        for name, rows, columns in (("self_attn.q_proj", q, d), ("self_attn.k_proj", kv, d), ("self_attn.v_proj", kv, d),
                                    ("self_attn.o_proj", d, q), ("mlp.gate_proj", f, d), ("mlp.up_proj", f, d),
                                    ("mlp.down_proj", d, f)):  # fmt: skip
            shapes[prefix + name + ".weight"] = (rows, columns)
        for name in ("input_layernorm", "post_attention_layernorm"):
            shapes[prefix + name + ".weight"] = (d,)
    random = torch.Generator().manual_seed(1)
    return {
        name: 1 + 0.2 * torch.randn(shape, generator=random)
        if len(shape) == 1
        else torch.randn(shape, generator=random) * shape[1] ** -0.5
        for name, shape in shapes.items()
    }


def write_safetensors(path, tensors, dtype):
    torch_type, view = {"BF16": (torch.bfloat16, torch.int16), "F16": (torch.float16, torch.int16),
                        "F32": (torch.float32, torch.int32)}[dtype]  # fmt: skip
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, value in tensors.items():
        raw = value.to(torch_type).contiguous().view(view).numpy().tobytes()
        header[name] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return {name: value.to(torch_type).to(torch.float64) for name, value in tensors.items()}


def write_model(folder, config, dtype, shards):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    tensors, stored = tensors_of(config), {}
    if shards == 1:
        return write_safetensors(folder / "model.safetensors", tensors, dtype)
    weight_map = {}
    for shard in range(shards):
        part = {name: tensor for i, (name, tensor) in enumerate(tensors.items()) if i % shards == shard}
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        stored.update(write_safetensors(folder / file, part, dtype))
        weight_map.update({name: file for name in part})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return stored


class Test:
    def __init__(self, aneval, folder):
        self.aneval, self.folder, self.failures = aneval, folder, 0
        self.runs = 0

    def expect(self, what, holds, detail=""):
        print(f"{'ok' if holds else 'FAILED':8}{what}{'' if holds else ': ' + detail}")
        self.failures += not holds

    def dump(self, step, *arguments):
        self.runs += 1
        out = self.folder / f"run{self.runs}"
        command = [self.aneval, "train", "--out", out, "--steps", step + 1, "--controls", 0, "--warmup", 1, "--accum", 2,
                   "--dump-step", step, "--dump-names", "hf", *arguments]  # fmt: skip
        subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
        return out / f"step-{step}.safetensors"

    def oracle(self, file):
        command = [sys.executable, step_oracle.__file__, str(file), "--all"]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return result.returncode, result.stdout

    def agrees(self, what, file):
        code, output = self.oracle(file)
        self.expect(what, code == 0, output)
        print("        " + output.splitlines()[1].strip())

    def differs(self, what, file, names):
        """Exit code 1, and each of these texts in a line that says FAILED."""
        code, output = self.oracle(file)
        failed = [line for line in output.splitlines() if "FAILED" in line]
        found = all(any(name in line for line in failed) for name in names)
        self.expect("finds " + what, code == 1 and found, f"exit code {code}, {output}")


def edited(file, target, edit):
    """A copy whose tensors, as writable arrays by name, `edit` changes in place."""
    content = bytearray(file.read_bytes())
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__")
    edit({
        name: np.frombuffer(content, step_oracle.TYPES[entry["dtype"]], int(np.prod(entry["shape"])),
                            8 + length + entry["data_offsets"][0]).reshape(entry["shape"])
        for name, entry in header.items()
    })  # fmt: skip
    target.write_bytes(content)
    return target


def scale_gradients(tensors):
    for name, value in tensors.items():
        if name.startswith("grad."):
            value *= 256


def interleave_keys(tensors):
    for name, value in tensors.items():
        if name == "model.layers.0.self_attn.k_proj.weight":
            heads = value.copy().reshape(-1, 2, 8, value.shape[1])  # two key/value heads of 16 lanes
            value[:] = heads.transpose(0, 2, 1, 3).reshape(value.shape)


def shift_tokens(tensors):
    for kind in ("tokens", "rows"):
        tensors[kind + ".targets"][:] = tensors[kind + ".inputs"]


def swap_targets(tensors):
    for kind in ("tokens", "rows"):
        inputs, targets = tensors[kind + ".inputs"], tensors[kind + ".targets"]
        for each in (inputs, targets):
            each[:] = each[:, ::-1].copy()
        inputs[:, 1:] = targets[:, :-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("aneval", help="path of the aneval binary")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        test = Test(options.aneval, folder)
        for number, (what, (config, dtype, shards)) in enumerate(MODELS.items()):
            stored = write_model(folder / f"model{number}", config, dtype, shards)
            arguments = ["--weights", folder / f"model{number}", "--seq", 48, "--profile", "ieee"]
            file = test.dump(0, *arguments)
            tensors = step_oracle.read_safetensors(file)[1]
            for vocabulary in ("model.embed_tokens.weight", "lm_head.weight"):
                if vocabulary in stored:
                    stored[vocabulary] = stored[vocabulary][tensors["vocabulary_ids"]]
            wrong = [key for key, value in stored.items() if key not in tensors or not torch.equal(tensors[key], value)]
            test.expect(f"{what}: its weights come out as they went in", not wrong, " ".join(wrong))
            test.agrees(f"{what}: step 0", file)
            test.agrees(f"{what}: step 3", test.dump(3, *arguments))
        small = test.dump(2, "--profile", "ieee")
        test.agrees("the small model, residual scale 1/2", small)
        test.agrees("half pairing in the kernels", test.dump(1, "--profile", "ieee", "--model", half_model(folder)))

        all_layers = [f"grad.model.layers.{layer}.self_attn.q_proj.weight" for layer in (0, 1)]
        cyclic = test.dump(1, "--profile", "ieee", "--variant", "head_map=cyclic_fwd")
        test.differs("a wrong head map", cyclic, all_layers)
        target = folder / "edited.safetensors"
        test.differs("scaled gradients", edited(small, target, scale_gradients), all_layers + ["grad.model.norm.weight"])
        test.differs("keys in the kernels' order", edited(small, target, interleave_keys), all_layers)
        test.differs("targets that are the inputs", edited(small, target, shift_tokens), ["target is not the token after"])
        test.differs("tokens of another sequence", edited(small, target, swap_targets), all_layers)
        target.write_bytes(small.read_bytes()[:-100])
        code, output = test.oracle(target)
        test.expect("refuses a truncated file", code == 2 and "step_oracle: " in output, output)
    print(f"{test.failures} failed" if test.failures else "all hold")
    return 1 if test.failures else 0


def half_model(folder):
    model = dict(name="half", dim=64, hidden=96, heads=4, kv_heads=2, head_dim=16, seq=48, layers=2, vocab=256,
                 rope_pairing="half")  # fmt: skip
    (folder / "half.json").write_text(json.dumps(model))
    return folder / "half.json"


if __name__ == "__main__":
    sys.exit(main())
