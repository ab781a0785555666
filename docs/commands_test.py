#!/usr/bin/env python3
"""Runs every command that README.md and docs/ show.

    commands_test.py ANEVAL SOURCE [page.md …]

Blocks of shell are run as they are written, line by line, in a folder where what they name exists (shape.json, story.txt, a
Hugging Face folder, results of two machines …). `aneval` there is this file again: it passes the call on to the real program
with all its options, but with a small shape in the place of Qwen3-0.6B and Stories110M and with two steps, points and blocks
where the page means hundreds. What needs another machine, another tool or hours is in NOT_RUN, with the reason; what is
there and on no page is an error. Exit code 77 (skipped) when stories260K.bin and tok512.bin are not in $ANEVAL_DATA."""

import array
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

SHAPE = {"name": "shape", "dim": 64, "hidden": 96, "heads": 4, "kv_heads": 2, "head_dim": 16, "seq": 32, "layers": 2, "vocab": 512}

# Beginnings of lines, and why they are not run.
NOT_RUN = {
    "./run_all.sh": "builds and tests everything: CI runs it",
    "./config.sh": "GitHub's runner",
    "git clone": "another machine",
    "git fetch": "the data branch of a repository",
    ".ci/fuzz": "minutes, with another compiler; the workflow nightly, and .ci/scripts_test.py",
    ".ci/coverage": "another build and all tests; the workflow weekly",
    "build/fuzz/fuzz_": "a program that .ci/fuzz builds",
    ".ci/history": "on the data branch; .ci/scripts_test.py runs it",
    "parallel": "ssh to other machines",
    "for i in 1 2 3; do rsync": "ssh to other machines",
    "cmake --preset": "builds; apple_test is part of the tests",
    "valgrind": "minutes under valgrind",
    "node ": "the test reports.browser",
    "ctest": "runs inside ctest",
    "python3 reference/step_oracle.py": "needs PyTorch; the test step_oracle",
    "python3 docs/variants.py": "hundreds of runs; measured by hand",
    "export ANEVAL_ANE_FRAMEWORK": "the tests apple.* and cli.Apple*",
    "ANEVAL_STANDIN_": "the tests apple.* and cli.Apple*",
    "aneval validate --self-test": "minutes; cli.SelfTest* and run_all.sh --full",
    "aneval probe": "the tests cli.Probe*",
    "aneval bench --benchmark_filter=ratio/": "its sizes are what it is about; bench.* and run_all.sh",
    "aneval validate --full": "minutes; run_all.sh --full",
    "cmake --install": "the test package.toy_kernel installs",
}
# What ends with another exit code than 0, because it is there to be found.
FINDINGS = {"head_map=cyclic_fwd": 1}
# Pages whose tests of their own run them as written.
OWN_TESTS = {"package.md": "package.* and cli.completion_*, cli.manual", "studies.md": "studies of hours: their figures carry the build they are from"}


def write_tensors(path, tensors):
    header, data, offset = {}, [], 0
    for name, shape in tensors.items():
        count = 1
        for size in shape:
            count *= size
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + 4 * count]}
        offset += 4 * count
        data.append(array.array("f", [((i * 7919) % 199 - 99) / 1000 for i in range(count)]).tobytes())
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data))


def layer_tensors():
    s = SHAPE
    d, f, q, k, seq = s["dim"], s["hidden"], s["heads"] * s["head_dim"], s["kv_heads"] * s["head_dim"], s["seq"]
    weights = {"wq": [q, d], "wk": [k, d], "wv": [k, d], "wo": [d, q], "w1": [f, d], "w2": [d, f], "w3": [f, d]}
    return {**weights, "rms_att": [d], "rms_ffn": [d], "x": [d, seq], "dy": [d, seq], "xn": [d, seq]}


def hugging_face(folder):
    s = SHAPE
    d, f, q, k = s["dim"], s["hidden"], s["heads"] * s["head_dim"], s["kv_heads"] * s["head_dim"]
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": d, "intermediate_size": f,
        "num_attention_heads": s["heads"], "num_key_value_heads": s["kv_heads"], "head_dim": s["head_dim"], "num_hidden_layers": s["layers"],
        "vocab_size": s["vocab"], "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": True, "hidden_act": "silu"}))
    tensors = {"model.embed_tokens.weight": [s["vocab"], d], "model.norm.weight": [d]}
    for layer in range(s["layers"]):
        p = f"model.layers.{layer}."
        tensors.update({p + "self_attn.q_proj.weight": [q, d], p + "self_attn.k_proj.weight": [k, d], p + "self_attn.v_proj.weight": [k, d],
                        p + "self_attn.o_proj.weight": [d, q], p + "mlp.gate_proj.weight": [f, d], p + "mlp.up_proj.weight": [f, d],
                        p + "mlp.down_proj.weight": [d, f], p + "input_layernorm.weight": [d], p + "post_attention_layernorm.weight": [d]})
    write_tensors(folder / "model.safetensors", tensors)


def smaller(arguments):
    """The call with a small shape and few steps; every option as it is."""
    call = list(arguments)
    command = call[0] if call else ""

    def has(option):
        return any(word == option or word.startswith(option + "=") for word in call)

    if command == "sweep" and len(call) > 1 and call[1].endswith(".json"):
        text = json.loads((pathlib.Path(os.environ["DOCS_SOURCE"]) / call[1]).read_text())
        text["parameters"].update({"model": "shape.json", "kernel": text["parameters"]["kernel"][:1]})
        if not has("--cost-model"):
            text.update({"budget": {"points": 3}, "confirm": {"blocks": 2}})
        pathlib.Path("small-sweep.json").write_text(json.dumps(text))
        call[1] = "small-sweep.json"
    call = ["shape.json" if word in ("Qwen3-0.6B", "Stories110M") else word for word in call]
    takes_model = command in ("validate", "bench", "train", "run", "stage")
    if takes_model and not has("--model") and not has("--weights"):
        call += ["--model", "shape.json"]
    if command == "train":
        dumped = [int(call[i + 1]) for i, word in enumerate(call) if word == "--dump-step"]
        call += ([] if has("--steps") else ["--steps", str(max([step + 1 for step in dumped] + [2]))]) + ([] if has("--controls") else ["--controls", "0"])
        if has("--seq"):
            call[call.index("--seq") + 1] = "32"
    if command == "bench" or "--ab" in call:
        # The generic products and chains are as large as they are, whatever the model.
        call = [re.sub("layer_", "^layer_", re.sub("/?eval", "woFwd/eval", word))
                if word.startswith("--benchmark_filter=") and "woFwd" not in word else word for word in call]
        call += ["--benchmark_min_time=0.001"] + ([] if has("--benchmark_filter") or has("--kernel") else ["--benchmark_filter=woFwd/"])
    if "--ab" in call:
        call += ["--blocks", "1", "--confirm", "0"]
    if call[:2] == ["mil", "run"]:
        call = ["in-program.safetensors" if word == "in.safetensors" else word for word in call]
    return call


def prepare(folder, aneval, source, data):
    """What the pages name."""
    for name in ("bin", "build/release", "old", "new"):
        (folder / name).mkdir(parents=True)
        shim = folder / name / "aneval"
        shim.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{pathlib.Path(__file__).resolve()}' --shim \"$@\"\n")
        shim.chmod(0o755)
    for name in ("stories260K.bin", "tok512.bin"):
        shutil.copy(data / name, folder / name)
    shutil.copy(data / "tok512.bin", folder / "tok.bin")
    (folder / "shape.json").write_text(json.dumps(SHAPE))
    (folder / "story.txt").write_text("Once upon a time there was a kernel. It ran all day, and nobody knew how long it took.\n" * 40)
    (folder / "ids.bin").write_bytes(struct.pack("<600I", *(i * 37 % SHAPE["vocab"] for i in range(600))))
    hugging_face(folder / "my-llama")
    (folder / "path").mkdir()
    (folder / "path" / "to").mkdir()
    os.symlink("../../my-llama", folder / "path" / "to" / "model")
    write_tensors(folder / "in.safetensors", layer_tensors())
    # The surface of sdpaFwd: its activations and weights side by side.
    program = subprocess.run([aneval, "mil", "emit", "--kernel", "sdpaFwd", "--model", "shape.json"], cwd=folder, check=True,
                             stdout=subprocess.PIPE, universal_newlines=True).stdout
    sizes = [int(n) for n in re.search(r"func main<\w+>\(tensor<fp16, \[([\d, ]+)\]> x\)", program)[1].split(",")]
    write_tensors(folder / "in-program.safetensors", {"x": sizes})
    for name, commit in (("m1", "h13"), ("m4", "h16")):
        (folder / name).mkdir()
        subprocess.run([aneval, "bench", "--model", "shape.json", "--profile", commit, "--full", "--benchmark_min_time=0.001", "--benchmark_filter=woFwd/eval|train_step",
                        "--run-id", name, "--out", f"{name}/b.csv"], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.copy(folder / name / "b.csv", folder / f"{name}.csv")
    for name in ("b.csv", "base.csv", "new.csv", "RESULTS…"):
        shutil.copy(folder / "m4.csv", folder / name)
    (folder / "small-sweep.json").write_text(json.dumps({"parameters": {"kernel": "woFwd", "model": "shape.json", "packing": "all", "pad": "all"},
                                                         "confirm": {"blocks": 2}}))
    for command in (["compare", "--history", "history", "--append", "m4.csv"],
                    *(["sweep", "small-sweep.json", "--out", f"sweep-{i}", "--shard", f"{i}/3"] for i in (1, 2, 3))):
        subprocess.run([aneval, *command], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def blocks_of(page):
    return re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def commands_of(block):
    """Lines, with those that a backslash ends joined to the next."""
    return [line.strip() for line in block.replace("\\\n", " ").splitlines() if line.strip() and not line.strip().startswith("#")]


def main(aneval, source, names):
    data = pathlib.Path(os.environ.get("ANEVAL_DATA", ""))
    if not (data / "stories260K.bin").is_file():
        print("skipped: ANEVAL_DATA names no folder with stories260K.bin and tok512.bin")
        return 77
    pages = [source / "README.md", *sorted((source / "docs").glob("*.md"))]
    if names:
        pages = [page for page in pages if page.name in names]
    failures, durations, run, left_out, used = [], [], 0, 0, set()
    with tempfile.TemporaryDirectory(prefix="aneval-docs-") as together:
        prepared = pathlib.Path(together) / "prepared"
        prepare(prepared, aneval, source, data)
        for page in pages:
            commands = [c for block in blocks_of(page) for c in commands_of(block)]
            if page.name in OWN_TESTS or not commands:
                continue
            folder = pathlib.Path(together) / page.stem
            shutil.copytree(prepared, folder, symlinks=True)
            environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "DOCS_ANEVAL": str(aneval), "DOCS_SOURCE": str(source)}
            for command in commands:
                reason = next((start for start in NOT_RUN if command.startswith(start)), None)
                if reason is not None:
                    used.add(reason)
                    left_out += 1
                    continue
                began = time.monotonic()
                done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
                run += 1
                durations.append((time.monotonic() - began, f"{page.name}: {command}"))
                if done.returncode != next((code for part, code in FINDINGS.items() if part in command), 0):
                    failures.append(f"{page.name}: {command}\n    exit code {done.returncode}: "
                                    + done.stdout.decode(errors="replace").strip()[-600:].replace("\n", "\n    "))
    if not names:
        failures += [f"NOT_RUN names '{start}', which no page shows" for start in NOT_RUN if start not in used]
    for failure in failures:
        print("FAILED", failure)
    for seconds, command in sorted(durations, reverse=True)[:5]:
        print(f"{seconds:6.1f} s {command[:120]}")
    print(f"{run} commands run, {left_out} left to other tests or machines, {len(failures)} failed")
    return 1 if failures or run == 0 else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--shim"]:
        program = os.environ["DOCS_ANEVAL"]
        os.execv(program, [program, *smaller(sys.argv[2:])])
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve(), sys.argv[3:]))
