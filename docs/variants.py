#!/usr/bin/env python3
"""The tables of docs/variants.md: what each form and each cut of a layer costs and saves, from what aneval wrote.

    python3 docs/variants.py build/release/aneval [--model Qwen3-0.6B] [--seq 256] [--keep FOLDER] [--only forms|cuts]

Runs `aneval bench` (bytes, dispatches, surfaces, times; profile h16), `aneval validate --kernel layer` (errors; h13
and h16) and, for forms, `aneval mil emit` (operations of the ten programs), for the default and for every variant below,
and prints Markdown. Rows that lie in FOLDER already are not measured again."""

import argparse
import collections
import csv
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

# A variant, and the tensors of the layer that its own programs make.
CUTS = [
    ("default", []),
    ("qkv_backward=merged", ["dxn"]),
    ("silu_backward=kernel", ["dh1", "dh3", "dx_ffn"]),
    ("ffn=split", ["g", "y"]),
    ("ffn=cpu_gate", ["g", "y"]),
    ("wo=fused", ["o"]),
]
ALL = "qkv_backward=merged;silu_backward=kernel;wo=fused"
# A form is about all programs: errors are those of what the layer gives.
RESULTS = ["y", "dx"]
FORMS = ["product=conv", "transposes=flags", "product=conv;transposes=flags"]


def rows_of(args, name, command):
    """The rows of one aneval command, run unless its file is there."""
    path = args.keep / (name.replace(";", "+").replace("=", "-") + ".csv")
    if not path.exists():
        result = subprocess.run([args.aneval, *command, "--out", str(path)], capture_output=True, text=True)
        if result.returncode != 0:
            sys.exit(f"variants.py: {' '.join(command)} failed\n{result.stdout[-2000:]}{result.stderr[-2000:]}")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def values(rows, **wanted):
    return [float(r["value"]) for r in rows if all(r[k] == v for k, v in wanted.items())]


def operations(args, variant, bench):
    """How often each operation stands in the programs of a layer; constants and BLOBFILE values are none."""
    counts = collections.Counter()
    for kernel in sorted({r["item"].split(".")[1] for r in bench if r["phase"] == "eval" and "." in r["item"]}):
        text = subprocess.run([args.aneval, "mil", "emit", "--kernel", kernel, "--model", args.model, "--seq",
                               str(args.seq), "--variant", variant], capture_output=True, text=True, check=True).stdout
        counts.update(op for op in re.findall(r"= (\w+)\(.*\)\[name", text) if op != "const")
    return counts


class Measured:
    def __init__(self, args, variant, tensors):
        model = ["--model", args.model, "--seq", str(args.seq), "--variant", variant]
        self.variant, self.tensors = variant, tensors
        self.bench = bench = rows_of(args, f"bench-{variant}",
                        ["bench", "--profile", "h16", *model, "--benchmark_min_time=0.01",
                         "--benchmark_repetitions=3", "--benchmark_filter=^layer_"])
        layers = ("layer_forward", "layer_backward")
        self.dispatches = [int(values(bench, phase=p, metric="dispatches", item="")[0]) for p in layers]
        self.surfaces = values(bench, item="all", metric="surfaces")[0]
        self.surface_bytes = values(bench, item="all", metric="surface_bytes")[0]
        self.times = [statistics.median(values(bench, phase=p, metric="time", item="")) for p in layers]
        # One value per repetition, all equal: bytes depend on nothing but shapes.
        moved = {(r["phase"], r["item"]): float(r["value"]) for r in bench if r["metric"] == "bytes"}
        self.bytes = {p: sum(value for (phase, _), value in moved.items() if phase == p)
                      for p in ("stage_weights", "write_acts", "read")}
        self.errors = {}
        for profile in ("h13", "h16"):
            rows = rows_of(args, f"layer-{profile}-{variant}",
                           ["validate", "--profile", profile, *model, "--kernel", "layer"])
            self.errors[profile] = {r["item"]: float(r["value"]) for r in rows if r["metric"] == "chain_error"}


class Form(Measured):
    """With the operations of its programs, and what the emulator computes on one thread: CPU time, which other work on
    the machine changes least."""

    def __init__(self, args, variant):
        super().__init__(args, variant, RESULTS)
        self.operations = operations(args, variant, self.bench)
        rows = rows_of(args, f"cpu-{variant}",
                       ["bench", "--profile", "h16", "--model", args.model, "--seq", str(args.seq), "--variant", variant,
                        "--threads", "1", "--benchmark_min_time=0.01", "--benchmark_repetitions=3",
                        "--benchmark_filter=^layer_"])
        self.times = [statistics.median(values(rows, phase=p, metric="cpu_time", item=""))
                      for p in ("layer_forward", "layer_backward")]


def table(head, lines):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for line in lines:
        print("| " + " | ".join(line) + " |")
    print()


def mib(number):
    return f"{number / 2**20:.1f}"


def print_forms(forms):
    kinds = ["matmul", "conv", "transpose", "reshape"]
    table(["variant", *kinds, "all operations", "dispatches forward + backward", "surfaces' bytes", "weights staged",
           "written + read", "CPU forward", "CPU backward"],
          [[f"`{f.variant}`", *(str(f.operations[k]) for k in kinds), str(sum(f.operations.values())),
            " + ".join(map(str, f.dispatches)), mib(f.surface_bytes) + " MiB", mib(f.bytes["stage_weights"]) + " MiB",
            mib(f.bytes["write_acts"] + f.bytes["read"]) + " MiB", *(f"{t / 1e6:.1f} ms" for t in f.times)]
           for f in forms])
    print_errors(forms[0], forms[1:])


def print_errors(default, variants):
    table(["variant", "tensor", *(f"{p}: error default → here" for p in ("h13", "h16")), "ratio h13", "ratio h16"],
          [[f"`{v.variant}`", tensor,
            *(f"{default.errors[p][tensor]:.2e} → {v.errors[p][tensor]:.2e}" for p in ("h13", "h16")),
            *(f"{v.errors[p][tensor] / default.errors[p][tensor]:.2f}" for p in ("h13", "h16"))]
           for v in variants for tensor in v.tensors])


def print_cuts(cuts):
    table(["variant", "dispatches forward + backward", "weights staged", "activations written", "outputs read",
           "surfaces", "their bytes", "layer forward", "layer backward"],
          [[f"`{c.variant}`", " + ".join(map(str, c.dispatches)), mib(c.bytes["stage_weights"]) + " MiB",
            mib(c.bytes["write_acts"]) + " MiB", mib(c.bytes["read"]) + " MiB", f"{c.surfaces:.0f}",
            mib(c.surface_bytes) + " MiB", *(f"{t / 1e6:.1f} ms" for t in c.times)] for c in cuts])
    print_errors(cuts[0], cuts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("aneval")
    parser.add_argument("--model", default="Qwen3-0.6B")
    parser.add_argument("--seq", type=int, default=256)
    parser.add_argument("--keep", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir()) / "aneval-variants")
    parser.add_argument("--only", choices=["forms", "cuts"])
    args = parser.parse_args()
    args.keep.mkdir(parents=True, exist_ok=True)
    if args.only != "cuts":
        print_forms([Form(args, variant) for variant in ["default"] + FORMS])
    if args.only != "forms":
        print_cuts([Measured(args, variant, tensors) for variant, tensors in CUTS + [(ALL, ["dx"])]])


if __name__ == "__main__":
    main()
