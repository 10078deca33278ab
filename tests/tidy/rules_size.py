"""Sizes: they are ratchets, so that nothing grows until nobody wants to read it."""

import ast
from collections import Counter
from collections.abc import Iterator

import cpp_scan
from source_tree import Finding, SourceFile, SourceTree

FUNCTION_LINES = 70
NESTING = 4
PARAMETERS = 5
HEADER_LINES = 250
SOURCE_LINES = 600
TEST_LINES = 800
FOLDER_FILES = 30  # besides the two that every folder has
CMAKE_LINES = 40
README_LINES = 30
SOURCE_SUFFIXES = (".cc", ".py", ".go", ".java", ".ts", ".tsx", ".sh")


def over(file: SourceFile, line: int, rule: str, figure: int, limit: int, do: str) -> Finding:
    return Finding(file.path, line, rule, f"{figure} of at most {limit}: {do}", figure)


def check(tree: SourceTree) -> Iterator[Finding]:
    for file in tree.files:
        yield from check_file_length(file)
        if file.is_cpp:
            yield from check_cpp(file)
        elif file.suffix == ".py":
            yield from check_python(file)
    yield from check_folders(tree)


def check_file_length(file: SourceFile) -> Iterator[Finding]:
    if file.name == "CMakeLists.txt":
        limit, rule, do = CMAKE_LINES, "CMakeLists length", "split the folder"
    elif file.name == "README.md" and file.folder:
        limit, rule, do = README_LINES, "README length", "keep purpose, main types, who includes it"
    elif file.suffix == ".h":
        limit, rule, do = HEADER_LINES, "header length", "one main type per pair of files"
    elif file.suffix in SOURCE_SUFFIXES and file.is_test:
        limit, rule, do = TEST_LINES, "test length", "split by behaviour"
    elif file.suffix in SOURCE_SUFFIXES:
        limit, rule, do = SOURCE_LINES, "source length", "give a part its own name and file"
    else:
        return
    if len(file.lines) > limit:
        yield over(file, limit + 1, rule, len(file.lines), limit, do)


def check_cpp(file: SourceFile) -> Iterator[Finding]:
    for function in cpp_scan.functions_of(file.code):
        where, name = function.line, function.name
        if function.length > FUNCTION_LINES:
            do = f"split {name}()"
            yield over(file, where, "function length", function.length, FUNCTION_LINES, do)
        if function.nesting > NESTING:
            do = f"return early or name an inner part of {name}()"
            yield over(file, where, "nesting", function.nesting, NESTING, do)
        owned_here = not function.is_override and not function.is_qualified
        if function.parameters > PARAMETERS and owned_here:
            do = f"make the parameters of {name}() a struct"
            yield over(file, where, "parameters", function.parameters, PARAMETERS, do)


def check_python(file: SourceFile) -> Iterator[Finding]:
    try:
        module = ast.parse(file.text)
    except SyntaxError as error:
        yield Finding(file.path, error.lineno or 1, "Python syntax", "make it parse")
        return
    for node in ast.walk(module):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                do = f"split {node.name}()"
                yield over(file, node.lineno, "function length", length, FUNCTION_LINES, do)


def check_folders(tree: SourceTree) -> Iterator[Finding]:
    own = [file for file in tree.files if file.name not in ("README.md", "CMakeLists.txt")]
    for folder, count in Counter(file.folder for file in own).items():
        if count > FOLDER_FILES:
            path = f"{folder or '.'}/"
            advice = f"{count} of at most {FOLDER_FILES} files: give a part its own folder"
            yield Finding(path, 1, "folder size", advice, count)
