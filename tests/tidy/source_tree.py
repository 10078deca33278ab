"""The files of the project as the tidy rules see them."""

import os
import re
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

CPP_SUFFIXES = (".h", ".cc")
SKIPPED_FOLDERS = {"build", ".git", "sop-data", "__pycache__", ".cache", ".venv", "node_modules"}


@dataclass(frozen=True, order=True)
class Finding:
    """One place that breaks a rule. `figure` is set by size rules, 0 otherwise."""

    path: str
    line: int
    rule: str
    advice: str
    figure: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}, {self.advice}"


@dataclass
class SourceFile:
    """One file: its path below the root with forward slashes, and its bytes."""

    path: str
    content: bytes

    @cached_property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def folder(self) -> str:
        parent = str(PurePosixPath(self.path).parent)
        return "" if parent == "." else parent

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.path).suffix

    @property
    def top(self) -> str:
        return self.path.split("/", 1)[0]

    @property
    def is_cpp(self) -> bool:
        return self.suffix in CPP_SUFFIXES

    @property
    def is_binary(self) -> bool:
        return b"\0" in self.content[:8192]

    @property
    def is_test(self) -> bool:
        stem = PurePosixPath(self.path).stem
        is_in_tests = self.top == "tests" or "/tests/" in self.path
        return is_in_tests or stem.endswith("_test") or stem.startswith("test_")

    @cached_property
    def code(self) -> str:
        """The text with comments and literals blanked, positions kept."""
        return blank_literals(self.text)

    def line_of(self, offset: int) -> int:
        return self.text.count("\n", 0, offset) + 1


@dataclass
class SourceTree:
    """All files that belong to the project, in order of path."""

    files: list[SourceFile] = field(default_factory=list)

    @cached_property
    def paths(self) -> set[str]:
        return {file.path for file in self.files}

    @cached_property
    def folders(self) -> set[str]:
        found = {""}
        for file in self.files:
            folder = file.folder
            while folder:
                found.add(folder)
                folder = folder.rpartition("/")[0]
        return found

    @property
    def cpp(self) -> list[SourceFile]:
        return [file for file in self.files if file.is_cpp]


LITERAL = re.compile(
    r"//(?:\\\n|[^\n])*"
    r"|/\*.*?\*/"
    r'|R"(?P<mark>[^(\s"]*)\(.*?\)(?P=mark)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'",
    re.S,
)


def blank_literals(text: str) -> str:
    def blanked(match: re.Match[str]) -> str:
        word = match.group(0)
        spaces = re.sub(r"[^\n]", " ", word)
        if word[0] in "\"'":
            return word[0] + spaces[1:-1] + word[-1]
        return spaces

    return LITERAL.sub(blanked, text)


def listed_paths(root: str) -> list[str]:
    command = ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        answer = subprocess.run(command, capture_output=True, check=True, stdin=subprocess.DEVNULL)
        return [path for path in answer.stdout.decode().split("\0") if path]
    except (OSError, subprocess.CalledProcessError):
        return walked_paths(root)


def walked_paths(root: str) -> list[str]:
    """For a tree without git, such as an unpacked archive."""
    found = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in SKIPPED_FOLDERS]
        found += [os.path.relpath(os.path.join(folder, name), root) for name in names]
    return found


def read_tree(root: str) -> SourceTree:
    tree = SourceTree()
    for path in sorted(set(listed_paths(root))):
        full = os.path.join(root, path)
        if os.path.islink(full) or not os.path.isfile(full):
            continue
        with open(full, "rb") as stream:
            tree.files.append(SourceFile(path, stream.read()))
    return tree
