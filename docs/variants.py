#!/usr/bin/env python3
"""The tables of docs/variants.md: what every value of every choice costs and saves against the default, from rows that
aneval wrote and programs that it printed.

    python3 docs/variants.py build/release/aneval [--model Qwen3-0.6B] [--seq 256] [--keep FOLDER] [VARIANT …]

Runs `aneval bench` (bytes, dispatches, surfaces, processor times; profile h16), `aneval validate --kernel layer`
(errors; h13 and h16), `aneval mil emit` (operations) and `aneval mil check --limits` (largest S) for the default, for
every single value of `aneval list variants`, and for the combinations given, and prints Markdown. Rows that lie in
FOLDER already are not measured again."""

import argparse
import collections
import csv
import math
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

PROFILES = ("h13", "h16")
LAYERS = ("layer_forward", "layer_backward")
# Right only for models trained that way, or wrong on purpose: their errors are of another layer.
OTHER_LAYERS = ("head_map=cyclic", "head_map=cyclic_fwd")
TENSORS = 4  # per variant in the table of errors
OPERATION = re.compile(r"tensor<fp16, \[([0-9, ]*)\]> (\w+) = (\w+)\((.*)\)\[name")


def output_of(args, *command):
    result = subprocess.run([args.aneval, *command], capture_output=True, text=True)
    return result.stdout if result.returncode == 0 else None


def rows_of(args, name, command):
    """The rows of one aneval command, run unless its file is there; none when the profile has no rules for it."""
    path = args.keep / (name.replace(";", "+").replace("=", "-") + ".csv")
    if not path.exists():
        result = subprocess.run([args.aneval, *command, "--out", str(path)], capture_output=True, text=True)
        if "has no rule" in result.stderr:
            return []
        if result.returncode != 0:
            sys.exit(f"variants.py: {' '.join(command)} failed\n{result.stdout[-2000:]}{result.stderr[-2000:]}")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def values(rows, **wanted):
    return [float(r["value"]) for r in rows if all(r[k] == v for k, v in wanted.items())]


def single_values(args):
    """key=value of everything that is not the default."""
    for line in output_of(args, "list", "variants").splitlines():
        words = line.split()
        if not line.startswith("not together"):
            yield from (f"{words[0]}={value}" for value in words[1].split("|")[1:])


class Programs:
    """Operations and multiplications of a layer's texts."""

    def __init__(self, args, kernels, variant):
        self.operations, self.macs, self.known = collections.Counter(), 0, True
        for kernel in kernels:
            text = output_of(args, "mil", "emit", "--kernel", kernel, "--model", args.model, "--seq", str(args.seq),
                             "--variant", variant)
            if text is None:  # weights that are compiled in have no numbers here
                self.known = False
                return
            shapes = {}
            for shape, name, op, arguments in OPERATION.findall(text):
                shapes[name] = [int(size) for size in shape.split(",")]
                if op == "const":
                    continue
                self.operations[op] += 1
                if op in ("matmul", "conv"):
                    x = shapes[re.search(r"\bx = (\w+)", arguments)[1]]
                    sums = x[1] if op == "conv" else x[-2] if "transpose_x = bT" in arguments else x[-1]
                    for size in shapes[name]:
                        sums *= size
                    self.macs += sums


class Measured:
    def __init__(self, args, variant):
        self.variant = variant
        model = ["--model", args.model, "--seq", str(args.seq), "--variant", variant]
        bench = rows_of(args, f"bench-{variant}",
                        ["bench", "--profile", "h16", *model, "--threads", "1", "--benchmark_min_time=0.01",
                         "--benchmark_repetitions=3", "--benchmark_filter=^layer_"])
        self.dispatches = [int(values(bench, phase=p, metric="dispatches", item="")[0]) for p in LAYERS]
        self.surfaces = values(bench, item="all", metric="surfaces")[0]
        self.surface_bytes = values(bench, item="all", metric="surface_bytes")[0]
        self.times = [statistics.median(values(bench, phase=p, metric="cpu_time", item="")) for p in LAYERS]
        # One value per repetition, all equal: bytes depend on nothing but shapes.
        moved = {(r["phase"], r["item"]): float(r["value"]) for r in bench if r["metric"] == "bytes"}
        self.bytes = {p: sum(value for (phase, _), value in moved.items() if phase == p)
                      for p in ("stage_weights", "write_acts", "copy", "read")}
        kernels = sorted({r["item"].split(".")[1] for r in bench if r["phase"] == "eval" and "." in r["item"]})
        self.programs = Programs(args, kernels, variant)
        self.errors = {}
        for profile in PROFILES:
            rows = rows_of(args, f"layer-{profile}-{variant}",
                           ["validate", "--profile", profile, *model, "--kernel", "layer"])
            self.errors[profile] = {r["item"]: float(r["value"]) for r in rows if r["metric"] == "chain_error"}
        self.limits = [self.limit(args, family) for family in ("h15", "h16")]

    def limit(self, args, family):
        """The largest multiple of 32 that all kernels can run."""
        text = output_of(args, "mil", "check", "--limits", "--model", args.model, "--family", family, "--variant",
                         self.variant)
        usable = re.findall(r"^\w+\s+\w+\s+\d+ \((\d+|-)\)", text or "", re.MULTILINE)
        return "-" if not usable or "-" in usable else str(min(map(int, usable)))

    def ratio(self, default, profile, tensor):
        there, here = default.errors[profile].get(tensor), self.errors[profile].get(tensor)
        return here / there if there and here is not None else None


def table(head, lines):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for line in lines:
        print("| " + " | ".join(line) + " |")
    print()


def mib(number):
    return f"{number / 2**20:.1f}"


def shown(ratio):
    return "–" if ratio is None else f"{ratio:.2f}"


def cost_table(all_of_them):
    default = all_of_them[0]
    table(["variant", "operations", "matmul, conv", "transposes", "GMAC", "dispatches", "staged", "written", "copied",
           "read", "surfaces", "their MiB", "largest S h13–h15, h16–h18", "forward", "backward", "error of y h13, h16",
           "of dx"],
          [[f"`{m.variant}`",
            *([str(sum(m.programs.operations.values())),
               f"{m.programs.operations['matmul']}, {m.programs.operations['conv']}",
               str(m.programs.operations["transpose"]), f"{m.programs.macs / 1e9:.2f}"] if m.programs.known
              else ["–"] * 4),
            " + ".join(map(str, m.dispatches)), *(mib(m.bytes[p]) for p in m.bytes), f"{m.surfaces:.0f}",
            mib(m.surface_bytes), ", ".join(m.limits), *(f"{t / 1e6:.0f} ms" for t in m.times),
            *(", ".join("×" + shown(m.ratio(default, p, tensor)) for p in PROFILES)
              if m.variant not in OTHER_LAYERS else "–" for tensor in ("y", "dx"))]
           for m in all_of_them])


def error_table(all_of_them):
    """Of every variant the tensors whose error differs most from the default's, by 5 % or more on a profile."""
    default = all_of_them[0]
    lines = []
    for m in all_of_them[1:]:
        if m.variant in OTHER_LAYERS:
            continue
        differs = {}
        for tensor in default.errors["h16"]:
            ratios = [m.ratio(default, p, tensor) for p in PROFILES]
            if any(r is not None and not 0.95 < r < 1.05 for r in ratios):
                differs[tensor] = ratios
        most = sorted(differs, key=lambda tensor: -max(abs(math.log(r)) for r in differs[tensor] if r is not None))
        for tensor, ratios in ((tensor, differs[tensor]) for tensor in most[:TENSORS]):
            lines.append([f"`{m.variant}`", tensor,
                          *("–" if r is None else
                            f"{default.errors[p][tensor]:.2e} → {m.errors[p][tensor]:.2e} (×{r:.2f})"
                            for p, r in zip(PROFILES, ratios))])
    table(["variant", "tensor", "h13", "h16"], lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("aneval")
    parser.add_argument("combinations", nargs="*", metavar="VARIANT")
    parser.add_argument("--model", default="Qwen3-0.6B")
    parser.add_argument("--seq", type=int, default=256)
    parser.add_argument("--keep", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir()) / "aneval-variants")
    args = parser.parse_args()
    args.keep.mkdir(parents=True, exist_ok=True)
    all_of_them = [Measured(args, v) for v in ["default", *single_values(args), *args.combinations]]
    cost_table(all_of_them)
    error_table(all_of_them)


if __name__ == "__main__":
    main()
