#!/usr/bin/env python3
"""The steps of the workflows on machines and with outcomes that CI rarely sees: an executable that answers as told
stands in for aneval, a bare repository for GitHub. Needs bash, git and cmake."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

CI = pathlib.Path(__file__).resolve().parent
HEADER = "schema,run_id,metric,value\n"


class ScriptTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.env = {**os.environ, "ANEVAL_COOLING_SECONDS": "0", "GITHUB_RUN_ID": "77",
                    "GITHUB_OUTPUT": str(self.folder / "output"), "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
                    "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        for role in ("AUTHOR", "COMMITTER"):
            self.env["GIT_{}_NAME".format(role)] = self.env["GIT_{}_EMAIL".format(role)] = "test"

    def run_in(self, folder, *command):
        return subprocess.run([str(part) for part in command], cwd=str(folder), env=self.env, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, universal_newlines=True)

    def run_script(self, name, *arguments):
        return self.run_in(self.folder, CI / name, *arguments)

    def fake_aneval(self, body):
        """An executable whose calls are lines of `calls` and that then does `body` (bash)."""
        path = self.folder / "aneval"
        path.write_text("#!/usr/bin/env bash\necho \"$*\" >>calls\n" + body)
        path.chmod(0o755)
        return "./aneval"

    def text(self, name):
        path = self.folder / name
        return path.read_text() if path.exists() else ""


class Measurable(ScriptTest):
    def test_a_fit_machine_skips_nothing(self):
        done = self.run_script("measurable", self.fake_aneval("exit 0"))
        self.assertEqual((done.returncode, self.text("output")), (0, ""))
        self.assertEqual(self.text("calls"), "doctor --require ane,ac,no-lowpower\ndoctor --require thermal=0\n")

    def test_a_refusal_skips_what_follows_and_says_why(self):
        done = self.run_script("measurable", self.fake_aneval("echo 'aneval: on battery at 50%' >&2; exit 3"))
        self.assertEqual((done.returncode, self.text("output")), (0, "skip=1\n"))
        self.assertIn("::warning title=Not measured::aneval: on battery at 50%25\n", done.stdout)
        self.assertIn("on battery at 50%", self.text("summary"))

    def test_heat_is_waited_for(self):
        hot = "case $* in *thermal*) [ $(wc -l <calls) -gt 4 ] || { echo hot >&2; exit 3; } ;; esac"
        done = self.run_script("measurable", self.fake_aneval(hot))
        self.assertEqual((done.returncode, self.text("output")), (0, ""))
        self.assertEqual(len(self.text("calls").splitlines()), 5)

    def test_heat_that_stays_is_a_refusal(self):
        done = self.run_script("measurable", self.fake_aneval("case $* in *thermal*) echo hot >&2; exit 3 ;; esac"))
        self.assertEqual((done.returncode, self.text("output")), (0, "skip=1\n"))
        self.assertEqual(len(self.text("calls").splitlines()), 12)

    def test_any_other_failure_is_one(self):
        done = self.run_script("measurable", self.fake_aneval("echo 'unknown requirement' >&2; exit 2"))
        self.assertEqual((done.returncode, self.text("output")), (2, ""))
        self.assertIn("unknown requirement", done.stderr)


class Gate(ScriptTest):
    def gate(self, code, xml="<testsuite><testcase/></testsuite>"):
        body = "echo '{}' >out/gate.xml; echo '# Gate' >out/gate.md; exit {}".format(xml, code)
        return self.run_script("gate", self.fake_aneval(body), "out", "--ab", "a", "b", "--blocks", "6")

    def test_exit_codes_are_the_gate_s(self):
        for code in (0, 1, 2, 4, 5):
            self.assertEqual(self.gate(code).returncode, code)

    def test_a_refusal_is_a_warning(self):
        done = self.gate(3, '<testcase><failure type="REFUSED" message="on battery"/></testcase>')
        self.assertEqual(done.returncode, 0)
        self.assertIn("::warning title=Gate::refused", done.stdout)

    def test_a_refusal_with_failures_fails(self):
        done = self.gate(3, '<testcase><failure type="REFUSED"/></testcase><testcase><failure type="REGRESSED"/></testcase>')
        self.assertEqual(done.returncode, 5)
        self.assertIn("::error", done.stdout)

    def test_arguments_and_summary(self):
        self.gate(0)
        self.assertEqual(self.text("calls"), "compare --ab a b --blocks 6 --out out --junit out/gate.xml\n")
        self.assertEqual(self.text("summary"), "# Gate\n")

    def test_expected_changes_are_handed_over(self):
        (self.folder / "bench_changes.csv").write_text("name,reason\n")
        self.gate(0)
        self.assertIn("--changes bench_changes.csv", self.text("calls"))


class Calibrate(ScriptTest):
    def calibrate(self, code, xml):
        self.run_in(self.folder, "git", "init", "-q")
        self.run_in(self.folder, "git", "commit", "-q", "--allow-empty", "-m", "x")
        body = "echo '{}' >out/gate.xml; exit {}".format(xml, code)
        return self.run_script("calibrate", self.fake_aneval(body), "out", "new/m4.csv")

    def test_alarms_are_counted_and_no_failure(self):
        done = self.calibrate(1, "<testsuite><testcase/><testcase><failure type=\"REGRESSED\"/></testcase><testcase/></testsuite>")
        self.assertEqual(done.returncode, 0)
        header, row = self.text("new/m4.csv").splitlines()
        self.assertEqual(header, "run_id,time_utc,commit,compared,false_alarms")
        self.assertRegex(row, r"^77,\d{4}-\d\d-\d\dT[\d:]+Z,[0-9a-f]{7,},3,1$")
        self.assertIn("1 of 3 metrics", done.stdout)
        self.assertIn("compare --ab ./aneval ./aneval --no-negative-controls", self.text("calls"))

    def test_a_quiet_night(self):
        done = self.calibrate(0, "<testsuite><testcase/></testsuite>")
        self.assertTrue(self.text("new/m4.csv").rstrip().endswith(",1,0"))
        self.assertNotIn("warning", done.stdout)

    def test_a_refusal_is_no_night(self):
        self.assertEqual(self.calibrate(3, "<testsuite/>").returncode, 0)
        self.assertEqual(self.text("new/m4.csv"), "")

    def test_a_build_that_differs_from_itself_fails(self):
        self.assertEqual(self.calibrate(5, "<testsuite/>").returncode, 5)
        self.assertEqual(self.text("new/m4.csv"), "")


class History(ScriptTest):
    def setUp(self):
        super().setUp()
        self.git(self.folder, "init", "-q", "--bare", "origin.git")
        self.clone = self.new_clone("clone")
        self.git(self.clone, "commit", "-q", "--allow-empty", "-m", "code")

    def git(self, folder, *arguments):
        done = self.run_in(folder, "git", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def new_clone(self, name):
        self.git(self.folder, "clone", "-q", "origin.git", name)
        return self.folder / name

    def write(self, folder, path, text):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)

    def history(self, *arguments, folder=None):
        return self.run_in(folder or self.clone, CI / "history", *arguments)

    def published(self, path):
        return self.git(self.folder / "origin.git", "show", "bench-data:" + path)

    def test_runs_are_appended_and_other_files_stay(self):
        self.write(self.clone, "new/history/m4.csv", HEADER + '1,r1,time,"5,0"\n')
        self.write(self.clone, "new/history/m1.csv", HEADER + "1,q,time,9\n")
        self.assertEqual(self.history("publish", "new").returncode, 0)
        other = self.new_clone("other")
        self.write(other, "new/history/m4.csv", HEADER + "1,r2,time,6\n")
        self.assertEqual(self.history("publish", "new", folder=other).returncode, 0)
        self.assertEqual(self.published("history/m4.csv"), HEADER + '1,r1,time,"5,0"\n1,r2,time,6\n')
        self.assertEqual(self.published("history/m1.csv"), HEADER + "1,q,time,9\n")
        self.assertEqual(len(self.git(self.folder / "origin.git", "log", "--format=%h", "bench-data").split()), 2)
        self.assertEqual(self.git(other, "status", "--porcelain", "--untracked-files=no"), "")

    def test_the_same_run_twice_changes_nothing(self):
        self.write(self.clone, "new/history/m4.csv", HEADER + "1,r1,time,5\n")
        self.history("publish", "new")
        self.assertIn("nothing new", self.history("publish", "new").stdout)
        self.assertIn("nothing new", self.history("publish", "missing").stdout)
        self.assertEqual(self.published("history/m4.csv"), HEADER + "1,r1,time,5\n")

    def test_who_was_slower_tries_again(self):
        other = self.new_clone("other")
        self.write(other, "new/history/m1.csv", HEADER + "1,q,time,9\n")
        self.write(self.clone, "new/history/m4.csv", HEADER + "1,r1,time,5\n")
        # Between our fetch and our push, somebody else's push.
        hook = self.clone / ".git" / "hooks" / "pre-push"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\nrm -f \"$0\"\nunset GIT_DIR\ncd '{}' && '{}' publish new\n".format(other, CI / "history"))
        hook.chmod(0o755)
        done = self.history("publish", "new")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse(hook.exists())
        self.assertEqual(self.published("history/m1.csv"), HEADER + "1,q,time,9\n")
        self.assertEqual(self.published("history/m4.csv"), HEADER + "1,r1,time,5\n")

    def test_the_last_200_runs_are_kept(self):
        rows = "".join("1,r{},time,{}\n".format(run, run) for run in range(200))
        self.write(self.clone, "new/history/m4.csv", HEADER + rows)
        self.history("publish", "new")
        self.write(self.clone, "new/history/m4.csv", HEADER + "1,r200,time,0\n1,r200,bytes,1\n")
        self.history("publish", "new")
        lines = self.published("history/m4.csv").splitlines()
        self.assertEqual((lines[1], lines[-1], len(lines)), ("1,r1,time,1", "1,r200,bytes,1", 202))

    def test_new_columns_come_last(self):
        self.write(self.clone, "new/history/m4.csv", HEADER + "1,r1,time,5\n")
        self.history("publish", "new")
        self.write(self.clone, "new/history/m4.csv", "schema,run_id,metric,value,text\n1,r2,time,6,x\n")
        self.history("publish", "new")
        self.assertEqual(self.published("history/m4.csv"),
                         "schema,run_id,metric,value,text\n1,r1,time,5,\n1,r2,time,6,x\n")

    def test_bad_files_are_refused_whole(self):
        self.write(self.clone, "new/history/m4.csv", HEADER + "1,r1,time,5\n")
        self.history("publish", "new")
        for text, said in (("schema,metric\n1,time\n", "no column run_id"), (HEADER + "1,r2\n", "m4.csv:2: has 2 fields"),
                           ("run_id,schema,metric,value\nr2,1,time,5\n", "only ever appended")):
            self.write(self.clone, "new/history/m4.csv", text)
            done = self.history("publish", "new")
            self.assertEqual(done.returncode, 2)
            self.assertIn(said, done.stderr)
        self.assertEqual(self.published("history/m4.csv"), HEADER + "1,r1,time,5\n")

    def test_merge_joins_the_branch_and_new_rows(self):
        self.write(self.clone, "new/history/m4.csv", HEADER + "1,r1,time,5\n")
        self.assertEqual(self.history("merge", "new", "first").returncode, 0)
        self.assertEqual((self.clone / "first/history/m4.csv").read_text(), HEADER + "1,r1,time,5\n")
        self.history("publish", "new")
        other = self.new_clone("other")
        self.write(other, "new/history/m1.csv", HEADER + "1,q,time,9\n")
        self.history("merge", "new", "all", folder=other)
        self.assertEqual((other / "all/history/m4.csv").read_text(), HEADER + "1,r1,time,5\n")
        self.assertEqual((other / "all/history/m1.csv").read_text(), HEADER + "1,q,time,9\n")

    def calibration(self, alarms):
        rows = "".join("{},t,c,200,{}\n".format(night, count) for night, count in enumerate(alarms))
        self.write(self.clone, "m4.csv", "run_id,time_utc,commit,compared,false_alarms\n" + rows)
        return self.history("calibration", "m4.csv")

    def test_two_alarmed_nights_of_thirty_are_within_the_rate(self):
        done = self.calibration([1, 1, 1] + [0] * 28 + [4, 1])
        self.assertEqual(done.returncode, 0)
        self.assertIn("in 2 of the last 30 nights, 5 of 6000", done.stdout)

    def test_three_are_not(self):
        self.assertEqual(self.calibration([0] * 27 + [1, 1, 1]).returncode, 1)


class BuildPair(ScriptTest):
    def setUp(self):
        super().setUp()
        (self.folder / ".ci").mkdir()
        shutil.copy2(str(CI / "build-pair"), str(self.folder / ".ci"))
        (self.folder / "CMakePresets.json").write_text(
            '{"version": 3, "configurePresets": [{"name": "release", "generator": "Ninja", "binaryDir": "${sourceDir}/x"}]}')
        (self.folder / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.22)\nproject(x NONE)\nadd_custom_target(aneval COMMAND ${CMAKE_COMMAND} -E "
            "copy ${CMAKE_SOURCE_DIR}/version ${CMAKE_BINARY_DIR}/aneval)\n")
        self.run_in(self.folder, "git", "init", "-q", "-b", "main")
        for version in ("one", "two", "three"):
            self.commit(version)

    def commit(self, version):
        (self.folder / "version").write_text(version)
        self.run_in(self.folder, "git", "add", "version", "CMakeLists.txt", "CMakePresets.json")
        self.run_in(self.folder, "git", "commit", "-q", "-m", version)

    def built(self, base):
        done = self.run_in(self.folder, self.folder / ".ci" / "build-pair", base)
        self.assertEqual(done.returncode, 0, done.stderr)
        return self.text("build/a/aneval"), self.text("build/b/aneval")

    def test_merge_base_and_head(self):
        self.run_in(self.folder, "git", "checkout", "-q", "-b", "topic", "HEAD~1")
        self.commit("topic")
        self.assertEqual(self.built("main"), ("two", "topic"))
        self.assertEqual(self.built("main~2"), ("one", "topic"))  # again, over the first

    def test_no_base_is_the_parent(self):
        self.assertEqual(self.built("0" * 40), ("two", "three"))


class Coverage(ScriptTest):
    REPORT = ("Filename a b c d e f g h i j k l\\ncommon/a.cpp 9 0 1% 2 0 1% 30 10 1% 8 4 1%\\n"
              "ane/b.cpp 9 0 1% 2 0 1% 10 0 1% 0 0 -\\nTOTAL 9 0 1% 2 0 1% 40 10 1% 8 4 1%\\n")

    def setUp(self):
        super().setUp()
        (self.folder / ".ci").mkdir()
        shutil.copy2(str(CI / "coverage"), str(self.folder / ".ci"))
        (self.folder / "bin").mkdir()
        for name, body in (("cmake", "mkdir -p build/coverage"), ("ctest", 'echo "$LLVM_PROFILE_FILE" >>calls; echo ok >"${@: -1}"; case "$*" in\n'
                                     "  *--rerun-failed*) exit ${AGAIN_CODE:-0} ;;\n  *) exit ${CTEST_CODE:-0} ;;\nesac"),
                           ("llvm-profdata-19", "touch build/coverage/all.profdata"), ("llvm-cov-19", "printf %b '" + self.REPORT + "'")):
            path = self.folder / "bin" / name
            path.write_text("#!/usr/bin/env bash\n" + body + "\n")
            path.chmod(0o755)
        self.env["PATH"] = str(self.folder / "bin") + os.pathsep + self.env["PATH"]

    def coverage(self, *arguments):
        return self.run_in(self.folder, self.folder / ".ci" / "coverage", *arguments)

    def test_rooms_are_summed_and_files_sorted_by_what_is_missed(self):
        done = self.coverage()
        self.assertEqual(done.returncode, 0, done.stderr)
        for row in ("| common | 30 | 66.7 % | 8 | 50.0 % |", "| ane | 10 | 100.0 % | 0 | 100.0 % |", "| all | 40 | 75.0 % | 8 | 50.0 % |"):
            self.assertIn(row, done.stdout.splitlines())
        self.assertEqual(self.coverage("--files", "1").stdout.splitlines()[-1], "common/a.cpp: 10 of 30 lines")

    def test_what_failed_runs_again_on_files_of_its_own(self):
        self.env["CTEST_CODE"] = "8"
        self.assertEqual(self.coverage().returncode, 0)
        first, again = self.text("calls").splitlines()
        self.assertNotEqual(first, again)

    def test_a_test_that_fails_twice_fails_it_and_the_table_is_printed(self):
        self.env["CTEST_CODE"] = self.env["AGAIN_CODE"] = "8"
        done = self.coverage()
        self.assertEqual(done.returncode, 1)
        self.assertIn("| all | 40 |", done.stdout)

    def test_wrong_arguments_and_no_run(self):
        for arguments in (("--files", "x"), ("--lines", "none.cpp"), ("--what",), ("--report",)):
            done = self.coverage(*arguments)
            self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (2, "", 1), done.stderr)
        self.assertIn("llvm-cov", self.coverage("--help").stdout)


class FreshMachine(ScriptTest):
    def test_wrong_arguments_are_one_line(self):
        for arguments in (("--what",), ("a", "b")):
            done = self.run_script("fresh-machine", *arguments)
            self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (2, "", 1), done.stderr)
        self.assertIn("debootstrap", self.run_script("fresh-machine", "--help").stdout)


class Fuzz(ScriptTest):
    STATS = "echo '#9 DONE cov: 77 ft: 90 corp: 3/20b' >&2; echo 'stat::number_of_executed_units: 1234' >&2\n"

    def setUp(self):
        super().setUp()
        (self.folder / ".ci").mkdir()
        shutil.copy2(str(CI / "fuzz"), str(self.folder / ".ci"))
        (self.folder / "fuzz").mkdir()
        (self.folder / "fuzz" / "CMakeLists.txt").write_text("fuzz_target(one lib)\nfuzz_target(two lib)\n")
        self.program("bin/cmake", "echo \"$*\" >>cmake-calls\n")
        self.env["PATH"] = str(self.folder / "bin") + os.pathsep + self.env["PATH"]
        for target in ("one", "two"):
            (self.folder / "fuzz" / "corpus" / target).mkdir(parents=True)
            (self.folder / "fuzz" / "corpus" / target / "seed").write_text("abc")
            self.program("build/fuzz/fuzz_" + target, "echo \"$*\" >calls-" + target + "\n" + self.STATS)

    def program(self, name, body):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/usr/bin/env bash\n" + body)
        path.chmod(0o755)

    def fuzz(self, *arguments):
        return self.run_in(self.folder, self.folder / ".ci" / "fuzz", *arguments)

    def test_all_targets_with_their_bounds(self):
        (self.folder / "fuzz" / "one.dict").write_text("")
        (self.folder / "fuzz" / "regressions" / "one").mkdir(parents=True)
        done = self.fuzz("--seconds", "5")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.splitlines()[2:], ["| one | 1234 | 77 | 1 | 0 |", "| two | 1234 | 77 | 1 | 0 |"])
        for word in ("-malloc_limit_mb=64", "-rss_limit_mb=2048", "-timeout=10", "-max_total_time=5",
                     "-dict=fuzz/one.dict", "fuzz/regressions/one"):
            self.assertIn(word, self.text("calls-one"))
        self.assertNotIn("dict", self.text("calls-two"))
        self.assertIn("--target fuzz_one fuzz_two", self.text("cmake-calls"))

    def test_a_finding_fails_and_names_its_input(self):
        self.program("build/fuzz/fuzz_two", self.STATS + "echo 'Test unit written to x/two-crash-1' >&2; exit 77\n")
        done = self.fuzz("two")
        self.assertEqual(done.returncode, 1)
        self.assertIn("| two | 1234 | 77 | 1 | 1 |", done.stdout)
        self.assertIn("fuzz: two: x/two-crash-1", done.stderr)
        self.assertFalse((self.folder / "calls-one").exists())

    def test_a_run_that_never_began_fails_too(self):
        self.program("build/fuzz/fuzz_one", "exit 127\n")
        done = self.fuzz("one")
        self.assertEqual((done.returncode, done.stdout.splitlines()[2]), (1, "| one | 0 | 0 | 1 | 1 |"))

    def test_merging_adds_to_the_corpus(self):
        self.program("build/fuzz/fuzz_one", "echo \"$*\" >calls-one; echo ab >fuzz/corpus/one/small\n")
        done = self.fuzz("--merge", "one")
        self.assertEqual((done.returncode, done.stdout), (0, "one: 2 inputs, 6 bytes\n"))
        self.assertIn("-set_cover_merge=1 fuzz/corpus/one build/fuzz/run/one", self.text("calls-one"))

    def test_wrong_arguments(self):
        for arguments in (["three"], ["--seconds", "0"], ["--seconds"], ["--fast"]):
            self.assertEqual(self.fuzz(*arguments).returncode, 2, arguments)
        self.assertEqual(self.text("cmake-calls"), "")


if __name__ == "__main__":
    unittest.main()
