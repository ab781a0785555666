#!/usr/bin/env python3
"""The tables of docs/variants.md: what each cut of a layer costs and saves, from rows that aneval wrote.

    python3 docs/variants.py build/release/aneval [--model Qwen3-0.6B] [--seq 256] [--keep FOLDER]

Runs `aneval bench` (bytes, dispatches, surfaces, times; profile h16) and `aneval validate --kernel layer` (errors; h13
and h16) for the default and for every value of every choice below, and prints Markdown. Rows that lie in FOLDER already
are not measured again."""

import argparse
import csv
import pathlib
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
    ("attention_backward=fused", ["dq_rope", "dk_full", "dv_full"]),
    ("wo=fused", ["o"]),
    ("handover=copy", []),
    ("handover=share", []),
]
ALL = "qkv_backward=merged;silu_backward=kernel;attention_backward=fused;wo=fused"


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


class Cut:
    def __init__(self, args, variant, tensors):
        model = ["--model", args.model, "--seq", str(args.seq), "--variant", variant]
        self.variant, self.tensors = variant, tensors
        bench = rows_of(args, f"bench-{variant}",
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
                      for p in ("stage_weights", "write_acts", "copy", "read")}
        self.errors = {}
        for profile in ("h13", "h16"):
            rows = rows_of(args, f"layer-{profile}-{variant}",
                           ["validate", "--profile", profile, *model, "--kernel", "layer"])
            self.errors[profile] = {r["item"]: float(r["value"]) for r in rows if r["metric"] == "chain_error"}


def table(head, lines):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for line in lines:
        print("| " + " | ".join(line) + " |")
    print()


def mib(number):
    return f"{number / 2**20:.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("aneval")
    parser.add_argument("--model", default="Qwen3-0.6B")
    parser.add_argument("--seq", type=int, default=256)
    parser.add_argument("--keep", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir()) / "aneval-variants")
    args = parser.parse_args()
    args.keep.mkdir(parents=True, exist_ok=True)
    cuts = [Cut(args, variant, tensors) for variant, tensors in CUTS + [(ALL, [])]]
    table(["variant", "dispatches forward + backward", "weights staged", "written", "copied", "outputs read",
           "surfaces", "their bytes", "layer forward", "layer backward"],
          [[f"`{c.variant}`", " + ".join(map(str, c.dispatches)), mib(c.bytes["stage_weights"]) + " MiB",
            mib(c.bytes["write_acts"]) + " MiB", mib(c.bytes["copy"]) + " MiB", mib(c.bytes["read"]) + " MiB", f"{c.surfaces:.0f}",
            mib(c.surface_bytes) + " MiB", *(f"{t / 1e6:.1f} ms" for t in c.times)] for c in cuts])
    default = cuts[0]
    table(["variant", "tensor", *(f"{p}: error default → here" for p in ("h13", "h16")), "ratio h13", "ratio h16"],
          [[f"`{c.variant}`", tensor,
            *(f"{default.errors[p][tensor]:.2e} → {c.errors[p][tensor]:.2e}" for p in ("h13", "h16")),
            *(f"{c.errors[p][tensor] / default.errors[p][tensor]:.2f}" for p in ("h13", "h16"))]
           for c in cuts for tensor in c.tensors + (["dx"] if c.variant == ALL else [])])


if __name__ == "__main__":
    main()
