"""Comments and documents: classes, Python docstrings, READMEs, links, the list of errors."""

import ast
import posixpath
import re
from collections.abc import Iterator

from source_tree import Finding, SourceFile, SourceTree

CLASS = re.compile(
    r"^(?:template <[^\n]*>\n)?class (?:[A-Z][A-Z0-9_]+(?:\([^)]*\))? )?(\w+)(?:<[^\n]*>)?"
    r"(?: final)?(?=[ \n]*(?::(?!:)|\{))",
    re.M,
)
# The rule may be followed by its reason: "Thread-safe: immutable."
THREADS = re.compile(r"(?:Thread-(?:safe|compatible)(?:: [^.]+)?|Confined to [^.]+)\.\Z")
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")
NO_README = (".ci", ".github")
SETTING = re.compile(r'^\s*\{"([a-z][a-z-]+)",\s*"[A-Z:]*",', re.M)
ROW = re.compile(r"^\| `([A-Za-z_-]+)` \|", re.M)
REASON = re.compile(r'ReasonRow\{Reason::\w+, "([A-Z_]+)"')


def check(tree: SourceTree) -> Iterator[Finding]:
    for file in tree.files:
        if file.suffix == ".h":
            yield from check_classes(file)
        elif file.suffix == ".md":
            yield from check_links(file, tree)
        elif file.path.startswith("clients/python/src/") and file.suffix == ".py":
            yield from check_docstrings(file)
    yield from check_readmes(tree)
    yield from check_indexes(tree)
    yield from check_errors(tree)
    yield from check_options(tree)


def comment_above(file: SourceFile, line: int) -> str:
    """The comment block that ends just above 1-based `line`, joined to one line."""
    words: list[str] = []
    index = line - 2
    while index >= 0 and file.lines[index].startswith("//"):
        words.insert(0, file.lines[index].lstrip("/").strip())
        index -= 1
    return " ".join(words)


def check_classes(file: SourceFile) -> Iterator[Finding]:
    for match in CLASS.finditer(file.code):
        line = file.line_of(match.start())
        comment = comment_above(file, line)
        name = match.group(1)
        if not comment:
            yield Finding(file.path, line, "class comment", f"say what {name} is and its invariants")
        elif not THREADS.search(comment):
            advice = (
                f"end the comment of {name} with 'Thread-safe.', 'Thread-compatible.' or "
                "'Confined to <owner>.'"
            )
            yield Finding(file.path, line, "class comment", advice)


def check_docstrings(file: SourceFile) -> Iterator[Finding]:
    try:
        module = ast.parse(file.text)
    except SyntaxError:
        return
    if file.text.strip() and not ast.get_docstring(module):
        yield Finding(file.path, 1, "docstring", "say what the module is for")
    yield from missing_docstrings(file, module.body)


def missing_docstrings(file: SourceFile, body: list[ast.stmt]) -> Iterator[Finding]:
    for node in body:
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        is_overload = any("overload" in ast.dump(mark) for mark in node.decorator_list)
        if node.name.startswith("_") or is_overload:
            continue
        if not ast.get_docstring(node):
            yield Finding(file.path, node.lineno, "docstring", f"say what {node.name} does")
        if isinstance(node, ast.ClassDef):
            yield from missing_docstrings(file, node.body)


def slug(heading: str) -> str:
    words = re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", ""))
    return words.replace(" ", "-")


def anchors(file: SourceFile) -> set[str]:
    text = re.sub(r"```.*?```", "", file.text, flags=re.S)
    return {slug(heading) for heading in re.findall(r"^#+\s+(.*)$", text, re.M)}


def check_links(file: SourceFile, tree: SourceTree) -> Iterator[Finding]:
    text = re.sub(r"```.*?```", lambda m: re.sub(r"[^\n]", " ", m.group(0)), file.text, flags=re.S)
    by_path = {other.path: other for other in tree.files if other.suffix == ".md"}
    for match in LINK.finditer(text):
        target, _, anchor = match.group(1).partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        path = posixpath.normpath(posixpath.join(file.folder, target)) if target else file.path
        line = file.line_of(match.start())
        if path not in tree.paths and path.rstrip("/") not in tree.folders | {"."}:
            yield Finding(file.path, line, "link", f"{match.group(1)} does not exist")
        elif anchor and path in by_path and anchor not in anchors(by_path[path]):
            yield Finding(file.path, line, "link", f"{path} has no heading #{anchor}")


def check_readmes(tree: SourceTree) -> Iterator[Finding]:
    folders = {file.folder for file in tree.files} | {file.top for file in tree.files if file.folder}
    for folder in sorted(folders - {""}):
        is_package = f"{folder}/__init__.py" in tree.paths
        is_content = "/testdata" in folder or "/golden" in folder
        if folder.startswith(NO_README) or is_package or is_content:
            continue
        if f"{folder}/README.md" not in tree.paths and not is_proto_parent(folder, tree):
            advice = "write at most 30 lines: purpose, main types, who may include it"
            yield Finding(f"{folder}/README.md", 1, "folder README", advice)


def check_indexes(tree: SourceTree) -> Iterator[Finding]:
    """Every page of docs/ is linked from the README of its folder."""
    readmes = {file.folder: file for file in tree.files if file.name == "README.md"}
    for file in tree.files:
        readme = readmes.get(file.folder)
        if file.top != "docs" or file.suffix != ".md" or readme in (None, file):
            continue
        if f"({file.name})" not in readme.text:
            yield Finding(readme.path, 1, "index", f"link {file.name}")


def is_proto_parent(folder: str, tree: SourceTree) -> bool:
    """proto/sop/v1 and proto/google/rpc are explained by proto/README.md."""
    return folder.startswith("proto/") and "proto/README.md" in tree.paths


def check_errors(tree: SourceTree) -> Iterator[Finding]:
    """docs/errors.md has one row per reason of core/base/error.cc, and no other."""
    files = {file.path: file for file in tree.files}
    source, page = files.get("core/base/error.cc"), files.get("docs/errors.md")
    if source is None or page is None:
        return
    known = set(REASON.findall(source.text)) - {"UNSPECIFIED"}
    yield from same_rows("error list", known, page, set(ROW.findall(page.text)))


def check_options(tree: SourceTree) -> Iterator[Finding]:
    """docs/operations.md has one row per setting of server/config/setting.cc, and no other."""
    files = {file.path: file for file in tree.files}
    source, page = files.get("server/config/setting.cc"), files.get("docs/operations.md")
    if source is None or page is None:
        return
    table = page.text.partition("\n## Configuration\n")[2].partition("\n## ")[0]
    known = set(SETTING.findall(source.text))
    yield from same_rows("option list", known, page, set(ROW.findall(table)))


def same_rows(rule: str, known: set[str], page: SourceFile, rows: set[str]) -> Iterator[Finding]:
    for name in sorted(known - rows):
        yield Finding(page.path, 1, rule, f"{name}: add its row")
    for name in sorted(rows - known):
        yield Finding(page.path, 1, rule, f"{name}: the code knows no such thing, remove the row")
