"""What --help says of every command, read from its pages: what the manual and the completions are held against."""
import re
import subprocess


class Page:
    def __init__(self, path):
        self.path = path  # ["mil", "check"]
        self.options, self.commands, self.positionals = [], [], []


def run(binary, *arguments):
    return subprocess.run([binary, *arguments], check=True, capture_output=True, text=True).stdout


def page(binary, path):
    result, section = Page(path), ""
    for line in run(binary, *path, "--help").splitlines():
        if re.match(r"\w+:$", line):
            section = line[:-1]
            continue
        if not line.startswith("  ") or line.startswith("   "):
            section = section if line.startswith("   ") else ""  # the footer follows an empty line
            continue
        names = line.split()[0]
        if section == "Options":
            result.options += names.split(",")
        elif section == "Subcommands":
            result.commands.append(names)
        elif section == "Positionals":
            result.positionals.append(names)
    return result


def pages(binary, path=()):
    """The command and all below it."""
    first = page(binary, list(path))
    return [first] + [p for name in first.commands for p in pages(binary, [*path, name])]


def listed(binary, what):
    """The names that `aneval list` shows."""
    return [line.split()[0] for line in run(binary, "list", what).splitlines() if line[:1].strip()]
