#!/usr/bin/env python3
"""Proof of `aneval compare --ab` with real processes on this machine: finds a kernel that is 10 % slower, and nothing else.

    ninja -C build/release gate_proof
    python3 cli/proof/gate_proof.py build/release [RUNS]

Both halves run it RUNS times (10) with different seeds, against
  aneval_slowed  whose woFwd evaluations take 10 % longer: found in at least 9 of 10, and nothing else REGRESSED
  aneval_twin    which has one unused function more: no finding in any
and print the spread and the detectable change of the slowed metric. About a minute per run; other work on the machine
shows in both.
"""
import csv
import json
import pathlib
import subprocess
import sys
import tempfile

SLOWED = "woFwd/eval/"
# Evaluations of less than a millisecond: where other work shares the processors, most of them are never preempted.
MODEL = {"name": "proof", "dim": 384, "hidden": 512, "heads": 6, "kv_heads": 2, "head_dim": 64, "seq": 64, "layers": 2,
         "vocab": 64}
OPTIONS = ["--backend", "emulator", "--threads", "1",
           "--benchmark_filter=^(woFwd|qBwd)/(eval|write_acts|read)/", "--benchmark_min_time=0.02"]


def compare(build, other, seed, more):
    """Rows of gate.csv that are timings, the facts, and the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        command = [build / "aneval", "compare", "--ab", build / "aneval", build / other, "--seed", str(seed),
                   "--model", pathlib.Path(folder) / "proof.json", "--out", pathlib.Path(folder) / "out", *OPTIONS, *more]
        (pathlib.Path(folder) / "proof.json").write_text(json.dumps(MODEL))
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode not in (0, 1):
            sys.exit(f"compare ended with {done.returncode}: {done.stderr}{done.stdout}")
        with open(pathlib.Path(folder) / "out" / "gate.csv", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["kind"] == "timing"]
        facts = {line.split("  ")[0]: line for line in done.stdout.splitlines()
                 if line.startswith(("controls", "median", "suspects", "processes"))}
        return rows, facts, done.returncode


def name(row):
    return row["benchmark"] or row["name"]


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    found = strangers = alarms = 0
    for seed in range(1, runs + 1):
        rows, facts, code = compare(build, "aneval_slowed", seed, [])
        slower = [row for row in rows if row["verdict"] == "REGRESSED"]
        target = next(row for row in rows if name(row).startswith(SLOWED))
        found += target in slower
        strangers += sum(row is not target for row in slower)
        print(f"slowed seed {seed}: {target['verdict']} {float(target['change'] or 'nan'):+.1%} "
              f"[{target['low']}, {target['high']}] p {target['p']}, detectable {target['detectable']}; "
              f"others REGRESSED: {[name(row) for row in slower if row is not target]}; exit code {code}; "
              + "; ".join(facts.values()), flush=True)
    for seed in range(1, runs + 1):
        rows, facts, code = compare(build, "aneval_twin", seed, ["--no-negative-controls"])
        slower = [row for row in rows if row["verdict"] == "REGRESSED"]
        alarms += bool(slower)
        print(f"twin seed {seed}: REGRESSED: {[name(row) for row in slower]}; exit code {code}; "
              + "; ".join(facts.values()), flush=True)
    passed = 10 * found >= 9 * runs and strangers == 0 and alarms == 0
    print(f"{'PASSED' if passed else 'FAILED'}: found in {found} of {runs}, {strangers} others; "
          f"alarms without a change in {alarms} of {runs}")
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
