#!/usr/bin/env python3
"""aneval on machines that fail: full disks, folders that cannot be written, signals, little memory, clocks that jump, other
locales, odd paths, no streams, no environment.

    faults_test.py ANEVAL [unittest options]

Whatever happens, a run ends with an exit code that README.md names and one line that says what to do, never by a signal of
its own; what stands under a result file's name is whole, and what a killed run left (`.partial`) can be reported on. Faults
that need rights this machine does not give are skipped with the reason."""

import csv
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ANEVAL = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else None
TINY = {"name": "tiny", "dim": 32, "hidden": 48, "heads": 4, "kv_heads": 2, "head_dim": 8, "seq": 32, "layers": 2, "vocab": 256}
SWEEP = {"parameters": {"kernel": "woFwd", "model": "tiny.json", "packing": "all"},
         "measure": {"phases": ["eval"], "repetitions": 1, "iterations": 1}, "confirm": {"blocks": 2}}


class Fault(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="aneval-faults-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "tiny.json").write_text(json.dumps(TINY))
        (self.folder / "sweep.json").write_text(json.dumps(SWEEP))

    def run_command(self, *command, **options):
        options = {"cwd": str(self.folder), "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 300, **options}
        return subprocess.run([str(part) for part in command], **options)

    def aneval(self, *arguments, **options):
        return self.run_command(ANEVAL, *arguments, **options)

    def commands(self, out):
        """Everything that writes, with a place to write to."""
        return [["validate", "--model", "tiny.json", "--out", f"{out}/validate.csv"],
                ["bench", "--model", "tiny.json", "--benchmark_min_time=0.001", "--benchmark_filter=Fwd", "--out", f"{out}/bench.csv"],
                ["train", "--model", "tiny.json", "--steps", "2", "--controls", "0", "--out", f"{out}/train"],
                ["sweep", "sweep.json", "--out", f"{out}/sweep"],
                ["report", "rows.csv", "--out", f"{out}/report"],
                ["mil", "emit", "--kernel", "sdpaFwd", "--model", "Qwen3-0.6B", "--out", f"{out}/sdpaFwd.mil"]]

    def make_rows(self):
        done = self.aneval("validate", "--model", "tiny.json", "--out", "rows.csv")
        self.assertEqual(done.returncode, 0, done.stderr)

    def assert_refused(self, done, *texts, codes=(3,)):
        """One line with the place and a remedy, no crash."""
        error = done.stderr.decode(errors="replace")
        self.assertIn(done.returncode, codes, error)
        lines = [line for line in error.splitlines() if line.startswith("aneval: ")]
        self.assertEqual(len(lines), 1, error)
        self.assertGreaterEqual(lines[0].count(": "), 2, error)
        self.assertNotIn("internal error", lines[0])
        for text in texts:
            self.assertIn(text, lines[0])

    def assert_whole(self, folder):
        """Whatever has a final name can be read to its end."""
        for path in pathlib.Path(folder).rglob("*"):
            if path.suffix == ".csv":
                with path.open(newline="") as file:
                    rows = list(csv.reader(file))
                self.assertEqual({len(row) for row in rows}, {len(rows[0])}, path)
                if path.stem in ("validate", "bench", "results", "rows"):
                    self.assertTrue(any("cases_done" in row for row in rows), path)
            elif path.suffix in (".html", ".md", ".mil"):
                self.assertGreater(path.stat().st_size, 100, path)
                if path.suffix == ".html":
                    self.assertTrue(path.read_text().rstrip().endswith("</html>"), path)

    def assert_reported(self, file, verdict):
        out = self.folder / "of-partial"
        done = self.aneval("report", file, "--out", out)
        self.assertIn(verdict.encode(), done.stdout, done.stderr)
        shutil.rmtree(out, ignore_errors=True)


class Disks(Fault):
    def in_namespace(self, script):
        """`script` by a root of its own, who may mount."""
        if self.run_command("unshare", "-rm", "true").returncode != 0:
            self.skipTest("no user namespaces here: nothing can be mounted")
        return self.run_command("unshare", "-rm", "sh", "-c", script)

    def test_full(self):
        self.make_rows()
        (self.folder / "disk").mkdir()
        for size in ("4k", "48k"):
            for command in self.commands("disk"):
                keep = f"; cp -r disk kept-{size}-{command[0]}"
                done = self.in_namespace(f"mount -t tmpfs -o size={size} t disk && '{ANEVAL}' {' '.join(command)}; code=$?{keep}; exit $code")
                with self.subTest(size=size, command=command[0]):
                    kept = self.folder / f"kept-{size}-{command[0]}"
                    self.assertTrue(kept.is_dir(), done.stderr)
                    if done.returncode != 0:  # a program may fit
                        self.assert_refused(done, "No space left on device", "free space")
                    self.assert_whole(kept)
                    for partial in kept.rglob("*.csv.partial"):
                        if partial.stat().st_size > 4096:
                            self.assert_reported(partial, "INCOMPLETE")

    def test_read_only(self):
        self.make_rows()
        (self.folder / "disk").mkdir()
        for command in self.commands("disk"):
            done = self.in_namespace(f"mount -t tmpfs -o ro t disk && '{ANEVAL}' {' '.join(command)}")
            with self.subTest(command=command[0]):
                self.assert_refused(done, "Read-only file system", codes=(2, 3))

    def test_files_that_may_not_grow(self):
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))
        done = self.aneval("validate", "--model", "tiny.json", "--out", "rows.csv", preexec_fn=limit)
        self.assert_refused(done, "rows.csv.partial", "File too large")
        self.assertFalse((self.folder / "rows.csv").exists())
        self.assert_reported("rows.csv.partial", "INCOMPLETE")

    def test_standard_output_on_a_full_disk(self):
        for command in (["list", "kernels"], ["--version"], ["validate", "--model", "tiny.json", "--kernel", "woFwd"],
                        ["mil", "emit", "--kernel", "woFwd", "--model", "tiny.json"], ["doctor"]):
            with open("/dev/full", "w") as full, self.subTest(command=command[0]):
                self.assert_refused(self.aneval(*command, stdout=full), "standard output: cannot write")


class Permissions(Fault):
    def nobody(self):
        """Root may read and write everything: tests of permissions are run as nobody."""
        if os.geteuid() != 0:
            return None
        os.chmod(self.folder, 0o777)
        for path in self.folder.iterdir():
            os.chmod(path, 0o666)
        place = self.folder
        while place != place.parent:
            if not place.stat().st_mode & 0o001:
                self.skipTest(f"{place} is closed to other users")
            place = place.parent
        if self.run_command("setpriv", "--reuid=65534", "--clear-groups", ANEVAL, "--version").returncode != 0:
            self.skipTest("nobody cannot run the program here")
        return ["setpriv", "--reuid=65534", "--clear-groups"]

    def test_missing(self):
        user = self.nobody() or []
        for path in ("closed.json", "closed.csv"):
            (self.folder / path).write_text("{}")
            os.chmod(self.folder / path, 0)
        (self.folder / "closed").mkdir(mode=0o555)
        self.assert_refused(self.run_command(*user, ANEVAL, "validate", "--model", "closed.json"), "closed.json", "Permission denied",
                            codes=(2, 3))
        self.assert_refused(self.run_command(*user, ANEVAL, "report", "closed.csv", "--out", "r"), "closed.csv", codes=(2, 3))
        for command in self.commands("closed")[:2]:
            self.assert_refused(self.run_command(*user, ANEVAL, *command), "closed/", "Permission denied", codes=(2, 3))
        # A folder in one that cannot even be looked into.
        (self.folder / "shut").mkdir(mode=0)
        for command in self.commands("shut")[2:4]:
            self.assert_refused(self.run_command(*user, ANEVAL, *command), "shut/", "Permission denied", codes=(2, 3))


class Signals(Fault):
    def test_at_random_moments(self):
        seed = int.from_bytes(os.urandom(4), "little")
        moments = random.Random(seed)
        partials = 0
        for round_ in range(16):
            kind = moments.choice([signal.SIGINT, signal.SIGTERM])
            command = [ANEVAL, "validate", "--model", "tiny.json", "--out", "rows.csv"]
            if round_ % 2:
                command = [ANEVAL, "bench", "--model", "tiny.json", "--benchmark_min_time=0.01", "--out", "rows.csv"]
            process = subprocess.Popen([str(part) for part in command], cwd=str(self.folder), stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            time.sleep(moments.uniform(0.02, 0.8))
            process.send_signal(kind)
            code = process.wait(timeout=120)
            with self.subTest(seed=seed, round=round_):
                # 0: it had ended; −signal: it had not begun to watch.
                self.assertIn(code, (0, 128 + kind, -kind))
                self.assert_whole(self.folder)
                for file in self.folder.glob("rows.csv*"):
                    partials += code != 0
                    self.assert_reported(file, "PASSED" if code == 0 else "INCOMPLETE")
                    file.unlink()
        self.assertGreater(partials, 0, f"no run of seed {seed} was stopped on its way")


class Machines(Fault):
    def test_little_memory(self):
        """From too little to start, to too little for the shape: an error, never a signal."""
        outcomes = set()
        for mebibytes in (64, 128, 256, 512, 1024):
            limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (mebibytes << 20, mebibytes << 20))
            for command in (["validate", "--model", "Qwen3-0.6B", "--kernel", "ffnFused", "--filter", "data=exact", "--threads", "2"],
                            ["validate", "--model", "Qwen3-0.6B", "--kernel", "layer", "--threads", "2"]):
                done = self.aneval(*command, preexec_fn=limit)
                with self.subTest(mebibytes=mebibytes, kernel=command[4]):
                    self.assertIn(done.returncode, (0, 1, 2, 3, 127), done.stderr)  # 127: not even its libraries fit
                    if done.returncode == 1:
                        self.assertIn(b"no memory for", done.stdout)
                    if done.returncode == 3:
                        self.assert_refused(done)
                    outcomes.add(done.returncode)
        self.assertTrue(outcomes & {1, 3}, "nothing was too large: the limits are no limits")

    def test_a_clock_that_jumps(self):
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None or sys.platform != "linux":
            self.skipTest("no C compiler: nothing stands in for the clock")
        (self.folder / "clock.c").write_text(
            "#define _GNU_SOURCE\n#include <sys/syscall.h>\n#include <time.h>\n#include <unistd.h>\n"
            "static int calls;\n"
            "int clock_gettime(clockid_t id, struct timespec *t) {\n"
            "  int code = syscall(SYS_clock_gettime, id, t);\n"
            "  if (id == CLOCK_REALTIME) t->tv_sec += (++calls % 3 - 1) * 86400 * 40;\n"
            "  return code;\n}\n")
        built = self.run_command(compiler, "-shared", "-fPIC", "-o", "clock.so", "clock.c")
        self.assertEqual(built.returncode, 0, built.stderr)
        environment = {**os.environ, "LD_PRELOAD": str(self.folder / "clock.so")}
        for command in self.commands(".")[:4]:
            done = self.aneval(*command, env=environment)
            self.assertIn(done.returncode, (0, 1), done.stderr)
        with (self.folder / "bench.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        times = [float(row["value"]) for row in rows if row["unit"] == "ns" and row["value"]]
        self.assertGreater(len(times), 20)
        self.assertTrue(all(0 <= nanoseconds < 60e9 for nanoseconds in times), "a time was taken from a clock that jumps")
        self.assert_reported("bench.csv", "rows")

    def test_two_processes_on_one_file(self):
        first = subprocess.Popen([str(ANEVAL), "bench", "--model", "tiny.json", "--benchmark_min_time=2", "--out", "both.csv"],
                                 cwd=str(self.folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 60
            while not (self.folder / "both.csv.partial").exists() and time.monotonic() < end:
                time.sleep(0.02)
            self.assert_refused(self.aneval("validate", "--model", "tiny.json", "--out", "both.csv"), "in use by another process")
        finally:
            first.terminate()
            self.assertEqual(first.wait(timeout=120), 143)
        written = [file for file in ("both.csv", "both.csv.partial") if (self.folder / file).exists()]
        self.assertEqual(len(written), 1)
        self.assert_reported(written[0], "INCOMPLETE")


class Surroundings(Fault):
    def outputs(self, folder, **options):
        """What depends on nothing but the input: tables, programs, findings, and a report of the same rows."""
        texts = []
        for command in (["list", "kernels"], ["list", "profiles"], ["list", "cases"], ["mil", "emit", "--kernel", "sdpaFwd", "--model", "tiny.json"],
                        ["mil", "check", "--limits", "--model", "tiny.json"], ["tune", "show", "--cost-models"]):
            done = self.aneval(*command, **options)
            self.assertEqual(done.returncode, 0, done.stderr)
            texts.append(done.stdout)
        done = self.aneval("report", "rows.csv", "--out", folder, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return texts + [(self.folder / folder / name).read_bytes() for name in ("report.html", "summary.md")]

    def test_a_locale_with_decimal_commas(self):
        self.make_rows()
        plain = self.outputs("plain", env={**os.environ, "LC_ALL": "C"})
        made = shutil.which("localedef") and self.run_command("localedef", "-i", "de_DE", "-f", "UTF-8", "./de_DE.UTF-8")
        if not made or made.returncode not in (0, 1) or not (self.folder / "de_DE.UTF-8").is_dir():
            self.skipTest("localedef cannot make de_DE.UTF-8 here: install the package locales")
        german = {**os.environ, "LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8", "LOCPATH": str(self.folder)}
        self.assertEqual(plain, self.outputs("german", env=german))

    def test_no_environment_no_home_no_streams(self):
        self.make_rows()
        plain = self.outputs("plain")
        self.assertEqual(plain, self.outputs("bare", env={}))
        # All three standard streams closed: nothing that is printed gets into a file.
        closed = subprocess.run(["sh", "-c", f"'{ANEVAL}' validate --model tiny.json --out closed.csv <&- >&- 2>&-; "
                                 f"'{ANEVAL}' mil emit --kernel woFwd --model tiny.json --out closed.mil <&- >&- 2>&-"],
                                cwd=str(self.folder), timeout=300)
        self.assertEqual(closed.returncode, 0)
        self.assert_whole(self.folder)
        self.assertEqual((self.folder / "closed.mil").read_bytes(), self.aneval("mil", "emit", "--kernel", "woFwd", "--model", "tiny.json").stdout)

    def test_paths_with_spaces_and_other_letters(self):
        self.make_rows()
        odd = self.folder / "ein Ordner ß 日本 'quoted'"
        odd.mkdir()
        for name in ("tiny.json", "rows.csv", "sweep.json"):
            shutil.copy(self.folder / name, odd / name)
        for command in self.commands(odd):
            arguments = [odd / part if part in ("tiny.json", "rows.csv", "sweep.json") else part for part in command]
            done = self.aneval(*arguments, cwd=str(odd))
            self.assertIn(done.returncode, (0, 1), done.stderr)
        self.assert_whole(odd)
        self.assertEqual(self.aneval("mil", "check", odd / "sdpaFwd.mil").returncode, 0)


if __name__ == "__main__":
    if ANEVAL is None or not ANEVAL.is_file():
        sys.exit(__doc__)
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
