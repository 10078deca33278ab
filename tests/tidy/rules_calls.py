"""Calls and words that are not used here, each with what to use instead."""

import re
from collections.abc import Iterator

from source_tree import Finding, SourceFile, SourceTree

BELOW_SERVER = ("core/", "storage/")
CPP_ROOTS = ("core/", "storage/", "server/", "clients/", "tests/")

# (pattern in code, folders it is banned in, folders excepted, advice)
BANNED_CALLS = (
    (
        r"\babsl::(?:Mutex|MutexLock|ReaderMutexLock|WriterMutexLock|CondVar)\b",
        BELOW_SERVER,
        (),
        "use core/base/mutex.h, which ThreadSanitizer sees",
    ),
    (
        r"\bstd::(?:(?:recursive_|shared_|timed_)*mutex|condition_variable(?:_any)?)\b",
        CPP_ROOTS,
        ("core/base/mutex.h",),
        "use core/base/mutex.h, which has thread-safety annotations",
    ),
    (
        r"\b(?:sleep_for|sleep_until|SleepFor|usleep|nanosleep)\b|(?<![\w.>:])sleep\s*\(",
        BELOW_SERVER,
        (),
        "wait for the event with base::CondVar, or take a base::Clock",
    ),
    (
        r"(?<![\w.>])(?:std::|::)?s?rand\s*\(|\bstd::random_device\b",
        CPP_ROOTS,
        ("tests/bench/",),
        "take a base::Random; tests print its seed",
    ),
    (
        r"(?<![\w.>:])(?:std::|::)?(?:time|gettimeofday)\s*\(\s*(?:NULL|nullptr|0|&)",
        CPP_ROOTS,
        (),
        "take a base::Clock",
    ),
    (
        r"\babsl::Now\s*\(|\bstd::chrono::(?:system|steady|high_resolution)_clock\b",
        BELOW_SERVER,
        ("core/base/",),
        "take a base::Clock as a constructor argument",
    ),
    (
        r"\b(?:EXPECT|ASSERT)_TRUE\s*\(\s*true\s*\)|\b(?:EXPECT|ASSERT)_FALSE\s*\(\s*false\s*\)",
        CPP_ROOTS,
        (),
        "assert something that can fail",
    ),
    (r"\bGTEST_SKIP\s*\(|\bDISABLED_\w", CPP_ROOTS, (), "let the test run or remove it"),
)
COMPILED = tuple((re.compile(p), roots, excepted, do) for p, roots, excepted, do in BANNED_CALLS)

PYTHON_BANNED = (
    (re.compile(r"@(?:pytest\.mark\.|unittest\.)skip"), "let the test run or remove it"),
    (re.compile(r"^\s*assert True\s*$", re.M), "assert something that can fail"),
    (re.compile(r"^\s*except\s*:", re.M), "name the exception"),
)

# Spelled in parts, so that this file does not contain them.
PROMISES = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
# A quoted "/root/..." is a piece of a path in a test; the others name somebody's machine anywhere.
MACHINE_PATHS = re.compile(
    r"(?<![\w.])/(?:wo" + r"rk|home/\w+|Us" + r"ers)/[\w.]|(?<![\w.\"'])/ro" + r"ot/[\w.]"
)
FOREIGN_TEXT = ("LICENSE",)


def check(tree: SourceTree) -> Iterator[Finding]:
    for file in tree.files:
        if file.is_binary or file.name in FOREIGN_TEXT:
            continue
        if file.is_cpp:
            yield from check_cpp(file)
        elif file.suffix == ".py":
            yield from check_python(file)
        yield from check_text(file)


def check_cpp(file: SourceFile) -> Iterator[Finding]:
    for pattern, roots, excepted, advice in COMPILED:
        if not file.path.startswith(roots) or (excepted and file.path.startswith(excepted)):
            continue
        for match in pattern.finditer(file.code):
            call = match.group(0).rstrip("( &")
            yield Finding(file.path, file.line_of(match.start()), "banned call", f"{call}: {advice}")


def check_python(file: SourceFile) -> Iterator[Finding]:
    if file.path.startswith("tests/tidy/"):
        return
    for pattern, advice in PYTHON_BANNED:
        for match in pattern.finditer(file.text):
            yield Finding(
                file.path, file.line_of(match.start()), "banned call", f"{match.group(0)}: {advice}"
            )


def check_text(file: SourceFile) -> Iterator[Finding]:
    for match in PROMISES.finditer(file.text):
        line = file.line_of(match.start())
        yield Finding(file.path, line, "promise", f"{match.group(0)}: do it now or leave it out")
    for match in MACHINE_PATHS.finditer(file.text):
        line = file.line_of(match.start())
        yield Finding(file.path, line, "machine path", "write a path that exists for every reader")
