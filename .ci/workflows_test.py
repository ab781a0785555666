#!/usr/bin/env python3
"""What .github/workflows/ must hold to, beyond what actionlint knows: workflows_test.py ANEVAL [--broken]

Least rights, pinned actions, no code of forks on our machines, no measuring on a machine that is not fit, scripts that
bash reads, and commands and flags that this build of aneval has. With --broken every rule is tried on a workflow that
breaks it on purpose. Exit code 77 (skipped) without PyYAML.
"""

import functools
import os
import pathlib
import re
import subprocess
import sys

try:
    import yaml
except ImportError:
    print("workflows_test: skipped: Python has no module yaml: install python3-yaml")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".github" / "workflows"

HOSTED = {"ubuntu-latest", "ubuntu-24.04", "macos-26", "macos-15"}
SELF_HOSTED = ["self-hosted", "macOS", "ARM64", "ane", "bench", "chip-${{ matrix.chip }}"]
# With pull_request_target, workflow_run or comments, strangers' input meets our rights.
EVENTS = {"push", "pull_request", "schedule", "workflow_dispatch"}
KEYS = {
    "workflow": {"name", "on", "permissions", "concurrency", "defaults", "jobs"},
    "job": {"name", "needs", "if", "permissions", "strategy", "runs-on", "container", "concurrency", "timeout-minutes",
            "continue-on-error", "env", "steps"},
    "step": {"name", "id", "if", "uses", "with", "env", "run", "continue-on-error", "timeout-minutes"},
    "strategy": {"matrix", "fail-fast", "max-parallel"},
    "concurrency": {"group", "cancel-in-progress", "queue"},
}
FORK_GUARD = "github.event.pull_request.head.repo.full_name == github.repository"
LABEL_GUARD = "contains(github.event.pull_request.labels.*.name, 'run-bench')"
FIT = "steps.state.outputs.skip != '1'"
MEASURES = re.compile(r"caffeinate|\.ci/gate|\.ci/calibrate")


class Loader(yaml.BaseLoader):
    """Every scalar is text (so `on` is no boolean), and a key that comes twice is an error, as on GitHub."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, "key {} comes twice".format(key), node.start_mark)
        return super().construct_mapping(node, deep)


Loader.add_constructor("tag:yaml.org,2002:map", lambda loader, node: loader.construct_mapping(node, True))


class Workflow:
    def __init__(self, name, text):
        self.name, self.text = name, text
        self.root = yaml.load(text, Loader=Loader)
        self.jobs = self.root.get("jobs") or {}
        on = self.root.get("on") or {}
        self.events = [on] if isinstance(on, str) else list(on)

    def steps(self):
        return [(job_id, job, step) for job_id, job in self.jobs.items() for step in job.get("steps", [])]


def is_self_hosted(job):
    return "self-hosted" in job.get("runs-on", "")


def may_write(job):
    return any(right == "write" for right in (job.get("permissions") or {}).values())


def check_keys(w):
    def unknown(kind, mapping, place):
        for key in mapping:
            if key not in KEYS[kind]:
                yield "{}: unknown key {}".format(place, key)

    yield from unknown("workflow", w.root, "workflow")
    for job_id, job in w.jobs.items():
        yield from unknown("job", job, job_id)
        yield from unknown("strategy", job.get("strategy", {}), job_id)
        yield from unknown("concurrency", job.get("concurrency", {}), job_id)
        for step in job.get("steps", []):
            yield from unknown("step", step, job_id)
            if ("run" in step) == ("uses" in step):
                yield job_id + ": a step has either run or uses"


def check_events(w):
    if not w.events:
        yield "has no events"
    for event in w.events:
        if event not in EVENTS:
            yield "event {} is not one of {}".format(event, ", ".join(sorted(EVENTS)))


def check_rights(w):
    if w.root.get("permissions") not in ({"contents": "read"}, {"contents": "read", "actions": "read"}):
        yield "permissions of the workflow are not just contents: read (and actions: read, for artifacts of other runs)"
    for job_id, job in w.jobs.items():
        if not may_write(job):
            continue
        if job["permissions"] != {"contents": "write"}:
            yield job_id + ": may write more than contents"
        if is_self_hosted(job):
            yield job_id + ": a self-hosted job may write"
        if "pull_request" in w.events and "github.event_name == 'push'" not in job.get("if", ""):
            yield job_id + ": may write, and runs for pull requests"


def check_limits(w):
    for job_id, job in w.jobs.items():
        if not re.fullmatch(r"[1-9]\d{0,2}", job.get("timeout-minutes", "")):
            yield job_id + ": has no timeout-minutes"


def check_runners(w):
    for job_id, job in w.jobs.items():
        labels = job.get("runs-on")
        if is_self_hosted(job):
            if labels != SELF_HOSTED:
                yield "{}: labels are not {}".format(job_id, SELF_HOSTED)
            # Shards are for the several machines of a chip.
            group = "bench-${{ matrix.chip }}" + ("-${{ matrix.shard }}" if "shard" in job["strategy"]["matrix"] else "")
            if job.get("concurrency", {}).get("group") != group:
                yield "{}: two jobs may run on one machine: the concurrency group is not {}".format(job_id, group)
            if job.get("concurrency", {}).get("cancel-in-progress") != "false":
                yield job_id + ": a measurement may be cancelled by the next"
            condition = " ".join(job.get("if", "").split())
            if "vars.BENCH_CHIPS != ''" not in condition:
                yield job_id + ": waits for a machine where there is none: no condition on vars.BENCH_CHIPS"
            if "pull_request" in w.events and (FORK_GUARD not in condition or LABEL_GUARD not in condition):
                yield job_id + ": runs the code of forks, or of pull requests without the label run-bench"
            continue
        matrix = (job.get("strategy") or {}).get("matrix", {})
        for label in matrix.get("os", []) if labels == "${{ matrix.os }}" else [labels]:
            if label not in HOSTED:
                yield "{}: unknown machine {}".format(job_id, label)


def check_actions(w):
    for line in w.text.splitlines():
        used = re.match(r"\s*(?:- )?uses:\s*(.*)", line)
        if used and not re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used.group(1)):
            yield "action is not pinned to a commit with its version beside it: " + used.group(1)
    for job_id, job, step in w.steps():
        if step.get("uses", "").startswith("actions/checkout@") and not may_write(job):
            if step.get("with", {}).get("persist-credentials") != "false":
                yield job_id + ": checkout leaves the token where the code that is built can read it"
        if step.get("uses", "").startswith("actions/upload-artifact@") and step.get("if") != "always()":
            yield job_id + ": results of a failed job are not uploaded"


def check_expressions(w):
    for job_id, job in w.jobs.items():
        matrix = (job.get("strategy") or {}).get("matrix", {})
        needs = job.get("needs", [])
        known = {"matrix": set(matrix), "needs": {needs} if isinstance(needs, str) else set(needs), "steps": set()}
        for place in [{key: value for key, value in job.items() if key != "steps"}, *job.get("steps", [])]:
            for context, name in re.findall(r"\b(matrix|needs|steps)\.([\w-]+)", str(place)):
                if name not in known[context]:
                    yield "{}: {}.{} does not exist there".format(job_id, context, name)
            known["steps"].add(place.get("id"))


def check_fitness(w):
    for job_id, job, step in w.steps():
        if is_self_hosted(job) and MEASURES.search(step.get("run", "")) and FIT not in step.get("if", ""):
            yield job_id + ": measures on a machine that is not fit: " + step["run"].split("\n")[0]


def bash_error(script):
    done = subprocess.run(["bash", "-n"], input=script.encode(), stderr=subprocess.PIPE)
    return done.stderr.decode() if done.returncode or done.stderr else ""


def check_scripts(w):
    if w.root.get("defaults") != {"run": {"shell": "bash"}}:
        yield "the default shell is not bash: containers would take sh, and pipes would hide failures"
    for job_id, _, step in w.steps():
        script = step.get("run", "")
        if "${{" in script:
            yield job_id + ": an expression in run: text of strangers would be a script: pass it in env"
        elif bash_error(script):
            yield "{}: {}".format(job_id, bash_error(script))
        for called in re.findall(r"(?:^|[\s;])((?:\.ci/|\./)[\w-]+(?:\.sh)?)(?=\s|$)", script):
            if not os.access(ROOT / called, os.X_OK):
                yield "{}: {} is no executable file".format(job_id, called)
        for flag in re.findall(r"run_all\.sh.* (--[\w-]+)", script):
            if not has_flag(help_of_run_all(), flag):
                yield "{}: run_all.sh has no {}".format(job_id, flag)
        yield from ("{}: {}".format(job_id, problem) for problem in aneval_problems(script))


aneval = ""  # The executable that is asked; set once by main.


@functools.lru_cache(maxsize=None)
def help_of(*command):
    return subprocess.run([aneval, *command, "--help"], stdout=subprocess.PIPE).stdout.decode()


@functools.lru_cache(maxsize=None)
def help_of_run_all():
    return subprocess.run([str(ROOT / "run_all.sh"), "--help"], stdout=subprocess.PIPE).stdout.decode()


def exists(names):
    return "Usage: aneval " + " ".join(names) in help_of(*names)


def has_flag(text, flag):
    return re.search(re.escape(flag) + r"(?![\w-])", text) is not None


@functools.lru_cache(maxsize=None)
def requirement_error(words):
    done = subprocess.run([aneval, "doctor", "--require", words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return done.stderr.decode().strip() if done.returncode not in (0, 3) else ""


# The executable by its path or as "$aneval", the command, and the rest up to the next operator of bash.
COMMAND = r"""(?:"\$aneval"|[\w./$-]*/aneval) ([a-z]+)\b((?:'[^']*'|"[^"]*"|[^|;&<>\n'"])*)"""


def aneval_problems(script):
    """Commands, flags and requirements in a bash script that this aneval does not have."""
    text = re.sub(r"(?m)^\s*#.*$", "", script.replace("\\\n", " "))
    # .ci/gate hands its arguments to compare, holds of .ci/measurable to doctor; others take the executable alone.
    text = re.sub(r"\.ci/gate (\S+) \S+", r"\1 compare", text)
    text = re.sub(r"\bholds (?=[a-z])", '"$aneval" doctor --require ', text)
    text = re.sub(r"\.ci/(?:calibrate|measurable) .*", "", text)
    for command, rest in re.findall(COMMAND, text):
        names = [command]
        if command == "mil" and rest.split():
            names.append(rest.split()[0])
        if not exists(names):
            yield "aneval has no command " + " ".join(names)
            continue
        for flag in re.findall(r"(?<![\w-])--[a-z][\w-]*", rest):
            if not has_flag(help_of(*names), flag):
                yield "aneval {} has no {}".format(" ".join(names), flag)
        for words in re.findall(r"--require ([\w=,-]+)", rest):
            if requirement_error(words):
                yield requirement_error(words)


RULES = [check_keys, check_events, check_rights, check_limits, check_runners, check_actions, check_expressions,
         check_fitness, check_scripts]


def problems_of(name, text):
    try:
        workflow = Workflow(name, text)
    except yaml.YAMLError as error:
        return ["{}: {}".format(name, error)]
    return ["{}: {}".format(name, problem) for rule in RULES for problem in rule(workflow)]


def problems_of_script(name, text):
    found = list(aneval_problems(text))
    if text.startswith("#!/usr/bin/env bash") and bash_error(text):
        found.append(bash_error(text))
    return ["{}: {}".format(name, problem) for problem in found]


# (file, text in it, what stands there instead, what must be said)
BROKEN = [
    ("ci.yml", "jobs:\n", "jobs: [\n", "expected"),
    ("ci.yml", "timeout-minutes: 10", "timeout-minutes: 10\n    timeout-minutes: 10", "comes twice"),
    ("ci.yml", "runs-on: ubuntu-24.04", "runs-in: ubuntu-24.04", "unknown key runs-in"),
    ("ci.yml", "- run: .ci/format", "- run: .ci/format\n        shel: sh", "unknown key shel"),
    ("ci.yml", "- run: .ci/format", "- name: format", "either run or uses"),
    ("perf.yml", "queue: max", "que: max", "unknown key que"),
    ("perf.yml", "pull_request:\n", "pull_request_target:\n", "event pull_request_target"),
    ("ci.yml", "permissions:\n  contents: read\n", "", "permissions of the workflow"),
    ("perf.yml", "contents: write", "contents: write\n      actions: write", "may write more"),
    ("nightly.yml", "    timeout-minutes: 300", "    timeout-minutes: 300\n    permissions:\n      contents: write",
     "a self-hosted job may write"),
    ("perf.yml", "github.event_name == 'push' && needs", "needs", "may write, and runs for pull requests"),
    ("ci.yml", "    timeout-minutes: 10\n", "", "has no timeout-minutes"),
    ("nightly.yml", "    timeout-minutes: 300\n", "", "has no timeout-minutes"),
    ("perf.yml", "ane, bench, ", "bench, ", "labels are not"),
    ("perf.yml", "group: bench-${{ matrix.chip }}", "group: bench", "two jobs may run on one machine"),
    ("sweep.yml", "group: bench-${{ matrix.chip }}-${{ matrix.shard }}", "group: bench-${{ matrix.shard }}",
     "two jobs may run on one machine"),
    ("sweep.yml", "  actions: read", "  actions: write", "permissions of the workflow"),
    ("sweep.yml", "--shard \"$SHARD\"", "--shards \"$SHARD\"", "aneval sweep has no --shards"),
    ("nightly.yml", "cancel-in-progress: false", "cancel-in-progress: true", "cancelled by the next"),
    ("nightly.yml", "vars.BENCH_CHIPS != ''", "always()", "waits for a machine"),
    ("perf.yml", FORK_GUARD + " &&", "", "runs the code of forks"),
    ("perf.yml", "'run-bench') &&", "'bug') &&", "without the label run-bench"),
    ("ci.yml", "os: [macos-26, macos-15]", "os: [macos-26, macos-14]", "unknown machine macos-14"),
    ("cross.yml", "actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6.0.2", "actions/checkout@v6",
     "not pinned"),
    ("perf.yml", "          persist-credentials: false\n", "", "leaves the token"),
    ("ci.yml", "      - if: always()\n        uses", "      - uses", "are not uploaded"),
    ("perf.yml", "id: state", "id: stat", "steps.state does not exist"),
    ("perf.yml", "needs: compare", "needs: []", "needs.compare does not exist"),
    ("ci.yml", "name: tests-${{ matrix.os }}", "name: tests-${{ matrix.oz }}", "matrix.oz does not exist"),
    ("nightly.yml", "        if: steps.state.outputs.skip != '1'\n", "", "not fit"),
    ("ci.yml", "defaults:\n  run:\n    shell: bash\n", "", "default shell"),
    ("ci.yml", '.ci/build-pair "$BASE"', '.ci/build-pair "${{ github.head_ref }}"', "an expression in run"),
    ("ci.yml", "          done\n", "", "syntax error"),
    ("ci.yml", "- run: .ci/format", "- run: .ci/formatted", ".ci/formatted is no executable file"),
    ("ci.yml", "run_all.sh --test", "run_all.sh --tests", "run_all.sh has no --tests"),
    ("ci.yml", "aneval validate --quick", "aneval check --quick", "aneval has no command check"),
    ("ci.yml", "aneval validate --quick", "aneval validate --fast", "aneval validate has no --fast"),
    ("perf.yml", "--benchmark_repetitions=5", "--benchmark_repeat=5", "aneval bench has no --benchmark_repeat"),
    (".ci/measurable", "ane,ac,no-lowpower", "ane,ac,no-lowpwr", "no-lowpwr"),
    (".ci/measurable", "doctor --require \"$1\"", "doctor --requires \"$1\"", "aneval doctor has no --requires"),
    (".ci/gate", "exit $code\n", "exit $code\nfi\n", "syntax error"),
]


def main():
    global aneval
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    aneval = sys.argv[1]
    workflows = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.y*ml"))}
    paths = [path for path in sorted((ROOT / ".ci").iterdir()) if path.is_file() and not path.suffix]
    scripts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in [*paths, ROOT / "run_all.sh"]}

    def check(name, text):
        return problems_of(name, text) if name in workflows else problems_of_script(name, text)

    failures = []
    if "--broken" in sys.argv[2:]:
        for name, old, new, message in BROKEN:
            text = {**workflows, **scripts}[name]
            found = check(name, text.replace(old, new, 1)) if old in text else ["there is no {!r}".format(old)]
            if not any(message in problem for problem in found):
                failures.append("{}: {!r} instead of {!r}: expected '{}', got {}".format(name, new, old, message, found))
        done = "{} broken workflows and scripts, each found".format(len(BROKEN))
    else:
        failures = [problem for name, text in {**workflows, **scripts}.items() for problem in check(name, text)]
        if not workflows:
            failures.append("{}: has no workflow".format(FOLDER))
        done = "{} workflows, {} scripts".format(len(workflows), len(scripts))
    for failure in failures:
        print(failure, file=sys.stderr)
    if not failures:
        print("workflows_test: " + done)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
