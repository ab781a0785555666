#!/usr/bin/env python3
"""The tables of docs/variants.md: what each cut of a layer and each form of attention costs and saves, from rows that
aneval wrote and programs that it printed.

    python3 docs/variants.py build/release/aneval [--tables cuts|attention] [--model Qwen3-0.6B] [--seq 256]
                                                       [--keep FOLDER]

Runs `aneval bench` (bytes, dispatches, surfaces, times; profile h16) and `aneval validate --kernel layer` (errors; h13
and h16) for the default and for every value of every choice below, and prints Markdown. Rows that lie in FOLDER already
are not measured again."""

import argparse
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
# Forms of attention, likewise, and the programs that they change: forward, backward.
FORMS = [
    ("default", [], ["sdpaFwd"]),
    ("qkv=one", ["q_rope", "v", "attn"], ["sdpaFwd"]),
    ("rope=planar", ["q_rope", "attn"], ["sdpaFwd"]),
    ("rope=cpu", ["q_rope", "k_rope", "attn"], ["sdpaQkv", "sdpaCore"]),
    ("causal=tiles", ["attn", "probs", "dv_full", "dq_rope", "dk_full"], ["sdpaFwd"]),
    ("qkv=one;causal=tiles;rope=planar", ["attn", "dx"], ["sdpaFwd"]),
]
BACKWARD = ["sdpaBwd1", "sdpaBwd2"]


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
                      for p in ("stage_weights", "write_acts", "read")}
        self.errors = {}
        for profile in ("h13", "h16"):
            rows = rows_of(args, f"layer-{profile}-{variant}",
                           ["validate", "--profile", profile, *model, "--kernel", "layer"])
            self.errors[profile] = {r["item"]: float(r["value"]) for r in rows if r["metric"] == "chain_error"}


def output_of(args, *command):
    result = subprocess.run([args.aneval, *command], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"variants.py: {' '.join(command)} failed\n{result.stderr[-2000:]}")
    return result.stdout


class Program:
    """Operations and multiplications of a kernel's text."""

    OPERATION = re.compile(r"tensor<fp16, \[([0-9, ]*)\]> (\w+) = (\w+)\((.*)\)\[name")

    def __init__(self, args, kernel, variant):
        shapes, self.operations, self.macs = {}, 0, 0
        for line in output_of(args, "mil", "emit", "--kernel", kernel, "--model", args.model, "--seq", str(args.seq),
                              "--variant", variant).splitlines():
            found = self.OPERATION.search(line)
            if not found:
                continue
            shape, name, op, arguments = found.groups()
            shapes[name] = [int(size) for size in shape.split(",")]
            if op == "const":
                continue
            self.operations += 1
            if op == "matmul":
                x = shapes[re.search(r"\bx = (\w+)", arguments)[1]]
                macs = x[-2] if "transpose_x = bT" in arguments else x[-1]
                for size in shapes[name]:
                    macs *= size
                self.macs += macs


def largest_sequence(args, kernels, family, variant):
    """The multiple of 32 that the given kernels can all run."""
    text = output_of(args, "mil", "check", "--limits", "--model", args.model, "--family", family, "--variant", variant)
    usable = re.findall(r"^\w+\s+(\w+)\s+\d+ \((\d+)\)", text, re.MULTILINE)
    return min(int(size) for kernel, size in usable if kernel in kernels)


def cut_tables(args):
    cuts = [Cut(args, variant, tensors) for variant, tensors in CUTS + [(ALL, ["dx"])]]
    table(["variant", "dispatches forward + backward", "weights staged", "activations written", "outputs read",
           "surfaces", "their bytes", "layer forward", "layer backward"],
          [[f"`{c.variant}`", " + ".join(map(str, c.dispatches)), mib(c.bytes["stage_weights"]) + " MiB",
            mib(c.bytes["write_acts"]) + " MiB", mib(c.bytes["read"]) + " MiB", f"{c.surfaces:.0f}",
            mib(c.surface_bytes) + " MiB", *(f"{t / 1e6:.1f} ms" for t in c.times)] for c in cuts])
    error_table(cuts)


def form_tables(args):
    lines, forms = [], []
    for variant, tensors, forward in FORMS:
        form = Cut(args, variant, tensors)
        forms.append(form)
        made = [[Program(args, kernel, variant) for kernel in kernels] for kernels in (forward, BACKWARD)]
        lines.append([
            f"`{variant}`", " + ".join(str(sum(p.operations for p in programs)) for programs in made),
            " + ".join(f"{sum(p.macs for p in programs) / 1e9:.3f}" for programs in made),
            " + ".join(map(str, form.dispatches)), mib(form.bytes["write_acts"]) + " MiB",
            mib(form.bytes["read"]) + " MiB",
            *(str(largest_sequence(args, forward, family, variant)) for family in ("h15", "h16")),
            *(f"{t / 1e6:.1f} ms" for t in form.times)])
    table(["variant", "operations of attention forward + backward", "GMAC", "dispatches of the layer",
           "activations written", "outputs read", "largest S forward, h13–h15", "h16–h18", "layer forward",
           "layer backward"], lines)
    error_table(forms)


def table(head, lines):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for line in lines:
        print("| " + " | ".join(line) + " |")
    print()


def mib(number):
    return f"{number / 2**20:.1f}"


def error_table(cuts):
    """Against the first one."""
    default = cuts[0]
    table(["variant", "tensor", *(f"{p}: error default → here" for p in ("h13", "h16")), "ratio h13", "ratio h16"],
          [[f"`{c.variant}`", tensor,
            *(f"{default.errors[p][tensor]:.2e} → {c.errors[p][tensor]:.2e}" for p in ("h13", "h16")),
            *(f"{c.errors[p][tensor] / default.errors[p][tensor]:.2f}" for p in ("h13", "h16"))]
           for c in cuts for tensor in c.tensors])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("aneval")
    parser.add_argument("--model", default="Qwen3-0.6B")
    parser.add_argument("--seq", type=int, default=256)
    parser.add_argument("--tables", choices=["cuts", "attention", "all"], default="all")
    parser.add_argument("--keep", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir()) / "aneval-variants")
    args = parser.parse_args()
    args.keep.mkdir(parents=True, exist_ok=True)
    if args.tables != "attention":
        cut_tables(args)
    if args.tables != "cuts":
        form_tables(args)


if __name__ == "__main__":
    main()
