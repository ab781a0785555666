#!/usr/bin/env python3
"""manual_test.py ANEVAL SOURCE: the manual page, as man formats it: no warnings, and nothing of --help or of the sources is
missing. Exit code 77 (skipped) without man-db and groff."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import help_pages

ANEVAL, SOURCE = (sys.argv[1:3] + [""] * 2)[:2]
TROFF = help_pages.run(ANEVAL, "man") if ANEVAL else ""


def man_db():
    """Debian's man; others take no --warnings."""
    if not shutil.which("man"):
        return False
    return "man 2" in subprocess.run(["man", "--version"], capture_output=True, text=True).stdout


def formatted():
    """Plain text, wide enough that nothing is broken."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "aneval.1"
        file.write_text(TROFF)
        if man_db():
            command = ["man", "--warnings=w", "-l", "--encoding=UTF-8", str(file)]
        else:
            command = ["groff", "-ww", "-man", "-Tutf8", "-rLL=1000n", str(file)]
        environment = {**os.environ, "MANWIDTH": "1000", "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": ""}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
    return re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout), done.stderr, done.returncode


class Manual(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.text, cls.warnings, cls.code = formatted()

    def section(self, title):
        """Lines of a section, by the words of its heading."""
        return re.search(rf"^{title}\n(.*?)(?=^\S|\Z)", self.text, re.M | re.S).group(1)

    def test_man_and_groff_have_no_warnings(self):
        self.assertEqual((self.warnings, self.code), ("", 0))
        if shutil.which("groff"):
            checked = subprocess.run(["groff", "-ww", "-z", "-man", "-Tutf8"], input=TROFF, capture_output=True, text=True)
            self.assertEqual((checked.stderr, checked.returncode), ("", 0))

    def test_it_has_the_sections_of_a_manual(self):
        titles = re.findall(r"^([A-Z][A-Z ]+)$", self.text, re.M)
        self.assertEqual(titles, ["NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "OPTIONS", "EXIT STATUS", "ENVIRONMENT",
                                  "FILES", "SEE ALSO"])
        self.assertRegex(self.section("NAME"), r"aneval - \w+")

    def test_every_command_and_option_of_help_is_in_it(self):
        options = self.section("OPTIONS")
        for page in help_pages.pages(ANEVAL):
            name = " ".join(["aneval", *page.path])
            own = re.search(rf"^   {name}\n(.*?)(?=^   \S|\Z)", options, re.M | re.S)
            self.assertIsNotNone(own, name)
            for option in page.options:
                self.assertRegex(own.group(1), rf"(?m)^ {{7}}(\S+, )*{re.escape(option)}(,|\s|$)", name)
            for positional in page.positionals:
                self.assertRegex(own.group(1), rf"(?m)^ {{7}}{positional}\b", name)
            if page.path:
                self.assertRegex(self.section("COMMANDS"), rf"(?m)^ {{7}}{' '.join(page.path)}\b")
        for command in help_pages.page(ANEVAL, []).commands:
            self.assertRegex(self.section("SYNOPSIS"), rf"aneval {command}\b")

    def test_texts_of_help_read_the_same(self):
        flat = re.sub(r"\s+", " ", self.text)
        for words in ["key=value;key=value (`aneval list variants`)", "h13 (M1) … h18 (M6)", "'kernel=sdpaFwd;data=sinks'",
                      "--benchmark_filter=REGEX"]:
            self.assertIn(words, flat)

    def test_every_variable_that_the_sources_ask_for_is_in_it(self):
        environment = self.section("ENVIRONMENT") + self.section("FILES")
        asked = set()
        for file in pathlib.Path(SOURCE).glob("*/**/*.cpp"):
            if file.relative_to(SOURCE).parts[0] not in ("build", "examples") and "_test" not in file.name:
                asked |= set(re.findall(r'getenv\("(\w+)"\)', file.read_text()))
        self.assertIn("ANEVAL_ANE_FRAMEWORK", asked)
        for variable in asked:
            self.assertIn(variable, environment)

    def test_every_exit_code_is_in_it(self):
        codes = re.search(r"enum class ExitCode[^{]*\{(.*?)\};", (pathlib.Path(SOURCE) / "common/error.h").read_text(), re.S)
        numbers = re.findall(r"= (\d+),", codes.group(1))
        self.assertGreater(len(numbers), 4)
        for number in numbers:
            self.assertRegex(self.section("EXIT STATUS"), rf"(?m)^ {{7}}{number} ")


if __name__ == "__main__":
    if not man_db() and not shutil.which("groff"):
        print("neither man-db nor groff is installed")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0]])
