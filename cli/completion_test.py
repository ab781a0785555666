#!/usr/bin/env python3
"""completion_test.py SHELL ANEVAL FOLDER: the completion script of a shell, in that shell.

Bash is asked through COMPREPLY, line by line, and both shells are typed into at a terminal. Exit code 77 (skipped) when the
shell is not installed.
"""
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import sys
import time
import unittest

import help_pages

SHELL, ANEVAL, FOLDER = (sys.argv[1:4] + [""] * 3)[:3]


def script():
    file = pathlib.Path(FOLDER) / f"completion.{SHELL}"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(help_pages.run(ANEVAL, "completion", SHELL))
    return str(file.resolve())


def pieces(line):
    """A line as bash breaks it for completion: at spaces, and around = and : outside quotes."""
    words = re.findall(r"'[^']*'?|[=:]+|[^\s=:']+", line)
    return words + ([""] if line.endswith(" ") and line.count("'") % 2 == 0 else [])


class Bash(unittest.TestCase):
    def replies(self, lines, folder="/"):
        """What is offered at the end of each line: only the last of its pieces is replaced."""
        ask = f"cd {folder}; source {script()}\n"
        for line in lines:
            words = " ".join("'" + word.replace("'", "'\\''") + "'" for word in pieces(line))
            quoted = "'" + line.replace("'", "'\\''") + "'"
            ask += (f"COMP_LINE={quoted}; COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=({words}); "
                    "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _aneval\n"
                    "printf '%s\\n' \"${COMPREPLY[@]}\"; echo --end--\n")
        told = subprocess.run(["bash", "--norc", "--noprofile", "-c", ask], capture_output=True, text=True, check=True)
        self.assertEqual(told.stderr, "")
        return [[r for r in answer.split("\n") if r] for answer in told.stdout.split("--end--\n")[:-1]]

    def reply(self, line, folder="/"):
        return sorted(self.replies([line], folder)[0])

    def test_every_command_and_option_of_help_is_offered(self):
        pages = help_pages.pages(ANEVAL)
        self.assertGreater(len(pages), 20)
        lines = [" ".join(["aneval", *page.path]) for page in pages]
        for page, options in zip(pages, self.replies([line + " -" for line in lines])):
            self.assertEqual(sorted(options), sorted(page.options), page.path)
            self.assertIn("--help", options)
        for page, commands in zip(pages, self.replies([line + " " for line in lines])):
            self.assertLessEqual(set(page.commands), set(commands), page.path)
        self.assertNotIn("worker", self.reply("aneval "))  # internal

    def test_values_are_those_of_the_programs_tables(self):
        kernels = help_pages.listed(ANEVAL, "kernels")
        profiles = help_pages.listed(ANEVAL, "profiles")
        self.assertIn("sdpaFwd", kernels)
        self.assertIn("h16", profiles)
        self.assertEqual(self.reply("aneval validate --kernel "), sorted(kernels + ["layer"]))
        self.assertEqual(self.reply("aneval stage --kernel wo"), sorted(k for k in kernels if k.startswith("wo")))
        self.assertEqual(self.reply("aneval tune show --profile "), sorted(profiles))
        self.assertEqual(self.reply("aneval bench --profile h1"), sorted(p for p in profiles if p.startswith("h1")))
        models = help_pages.listed(ANEVAL, "models")
        self.assertLessEqual(set(models), set(self.reply("aneval mil emit --model ", FOLDER)))
        self.assertEqual(self.reply("aneval mil check --family h1"), [f"h{n}" for n in range(13, 19)])
        self.assertEqual(self.reply("aneval train --dump-names "), ["hf", "own"])
        self.assertEqual(self.reply("aneval run --op layer_"), ["layer_backward", "layer_forward"])
        self.assertEqual(self.reply("aneval list "), sorted(
            "benchmarks cases checks defects kernels metrics models profiles variants".split()))
        self.assertEqual(self.reply("aneval completion "), ["bash", "zsh"])
        self.assertEqual(self.reply("aneval report --format wi"), ["wide-csv"])

    def test_variants_are_pairs_one_behind_the_other(self):
        variants = {row.split()[0]: row.split()[1].split("|")
                    for row in help_pages.run(ANEVAL, "list", "variants").splitlines()
                    if not row.startswith("not together")}
        pairs = sorted(f"{key}={value}" for key, values in variants.items() for value in values)
        self.assertEqual(self.reply("aneval validate --variant "), pairs)
        self.assertEqual(self.reply("aneval validate --variant head_map=cyclic"), ["cyclic", "cyclic_fwd"])
        self.assertEqual(self.reply("aneval validate --variant 'pad=32;head_map=gr"), ["pad=32;head_map=grouped"])

    def test_a_value_may_follow_an_equals_sign(self):
        self.assertEqual(self.reply("aneval validate --profile=h16"), ["h16"])
        self.assertEqual(self.reply("aneval validate --variant=head_map=gr"), ["grouped"])
        self.assertIn("--kernel", self.reply("aneval validate --profile=h16 --k"))

    def test_words_before_the_cursor_are_understood(self):
        self.assertEqual(self.reply("aneval validate --kernel mil --prof"), ["--profile"])  # a value, no command
        self.assertEqual(self.reply("aneval compare --ab a b --junit x --str"), ["--strict"])
        self.assertEqual(self.reply("aneval compare --ab a --str"), [])  # the second of two files
        self.assertEqual(self.reply("aneval tune sh"), ["show"])
        self.assertEqual(self.reply("aneval validate --seed "), [])  # any number

    def test_files_and_folders_are_offered_where_they_are_meant(self):
        folder = pathlib.Path(FOLDER) / "files"
        (folder / "programs").mkdir(parents=True, exist_ok=True)
        (folder / "shape.json").write_text("{}")
        (folder / "two words.json").write_text("{}")
        self.assertEqual(self.reply("aneval validate --model s", folder), ["shape.json"])
        self.assertEqual(self.reply("aneval stage --tensors ", folder), ["programs", "shape.json", "two words.json"])
        self.assertEqual(self.reply("aneval validate --programs ", folder), ["programs"])
        self.assertEqual(self.reply("aneval sweep ", folder), ["merge", "programs", "shape.json", "two words.json"])
        self.assertEqual(self.reply("aneval validate --model=sh", folder), ["shape.json"])


class Zsh(unittest.TestCase):
    """The tables of the script; what zsh makes of them is seen at the terminal."""

    def tables(self, calls):
        ask = f"compdef() {{ }}; source {script()}; setopt no_nomatch\n" + "echo --end--\n".join([*calls, ""])
        told = subprocess.run(["zsh", "-f", "-c", ask], capture_output=True, text=True, check=True)
        self.assertEqual(told.stderr, "")
        return [answer.split() for answer in told.stdout.split("--end--\n")[:-1]]

    def test_every_command_and_option_of_help_is_in_it(self):
        pages = help_pages.pages(ANEVAL)
        self.assertGreater(len(pages), 20)
        for array, known in (("flags", "options"), ("subcommands", "commands")):
            calls = [f"_aneval_command '{' '.join(page.path)}'; print -l -- ${{{array}%%:*}}\n" for page in pages]
            for page, names in zip(pages, self.tables(calls)):
                self.assertEqual(sorted(names), sorted(getattr(page, known)), page.path)

    def test_values_are_those_of_the_programs_tables(self):
        places = [("validate", "--profile", "profiles", []), ("bench", "--kernel", "kernels", ["layer"]),
                  ("mil emit", "--model", "models", [])]
        calls = [f"_aneval_values '{command}' {option}; print -- $offered\n" for command, option, _, _ in places]
        for (_, _, what, more), words in zip(places, self.tables(calls)):
            self.assertEqual(sorted(words), sorted(help_pages.listed(ANEVAL, what) + more))


class Terminal(unittest.TestCase):
    """The shell at a terminal, whose `aneval` prints what it was given."""

    SETUP = {
        "bash": "bind 'set bell-style none' 'set enable-bracketed-paste off'; ",
        "zsh": "autoload -Uz compinit && compinit -u -D; unsetopt zle_bracketed_paste 2>/dev/null; ",
    }
    COMMAND = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}

    def typed(self, keys):
        """The arguments that come out of the keys, where <TAB> is one."""
        child, terminal = pty.fork()
        if child == 0:
            environment = {**os.environ, "TERM": "dumb", "PS1": "> ", "HOME": FOLDER, "COLUMNS": "300"}
            os.execvpe(self.COMMAND[SHELL][0], self.COMMAND[SHELL], environment)
        seen = ""

        def wait(text, seconds=30):
            nonlocal seen
            end = time.monotonic() + seconds
            while not re.search(text, seen):
                ready, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
                self.assertTrue(ready, f"no {text!r} in {seen!r}")
                seen += os.read(terminal, 65536).decode(errors="replace")

        try:
            setup = f"aneval() {{ printf 'got:%s:end\\n' \"$*\"; }}; {self.SETUP[SHELL]} source {script()}; echo rea''dy"
            os.write(terminal, setup.encode() + b"\n")
            wait("ready")
            for key in re.split("(<TAB>)", keys):
                os.write(terminal, b"\t" if key == "<TAB>" else key.encode())
                time.sleep(0.3 if key == "<TAB>" else 0)
            os.write(terminal, b"\n")
            wait("got:[^%].*?:end")
            return re.findall("got:([^%].*?):end", seen)[-1]
        finally:
            os.kill(child, 9)
            os.waitpid(child, 0)
            os.close(terminal)

    def test_commands_options_and_values_are_completed(self):
        self.assertEqual(self.typed("aneval vali<TAB>--ker<TAB>woF<TAB>--prof<TAB>ie<TAB>"),
                         "validate --kernel woFwd --profile ieee")
        self.assertEqual(self.typed("aneval mi<TAB>em<TAB>--dia<TAB>leg<TAB>"), "mil emit --dialect legacy")
        self.assertEqual(self.typed("aneval li<TAB>prof<TAB>"), "list profiles")

    def test_values_behind_an_equals_sign_and_in_quotes(self):
        self.assertEqual(self.typed("aneval validate --profile=ie<TAB>"), "validate --profile=ieee")
        self.assertEqual(self.typed("aneval validate --variant head_map=gr<TAB>"), "validate --variant head_map=grouped")
        self.assertEqual(self.typed("aneval validate --variant 'pad=32;head_map=gr<TAB>"),
                         "validate --variant pad=32;head_map=grouped")

    def test_files_are_completed(self):
        folder = pathlib.Path(FOLDER) / "typed"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model of mine.json").write_text("{}")
        self.assertEqual(self.typed(f"aneval validate --model {folder}/mod<TAB>"),
                         f"validate --model {folder}/model of mine.json")


class Script(unittest.TestCase):
    def test_the_shell_finds_no_error_in_it(self):
        checked = subprocess.run([SHELL, "-n", script()], capture_output=True, text=True)
        self.assertEqual((checked.returncode, checked.stderr), (0, ""))


if __name__ == "__main__":
    if shutil.which(SHELL) is None:
        print(f"{SHELL} is not installed")
        sys.exit(77)
    for name in {"Bash", "Zsh"} - {SHELL.capitalize()}:
        del globals()[name]
    shutil.rmtree(FOLDER, ignore_errors=True)
    unittest.main(argv=[sys.argv[0]])
