"""Finds the functions of a C++ file without a compiler: names, lines, nesting, parameters.

Works on code with blanked literals. It knows scopes by their braces and decides from the words before
a brace what it opens. That is enough for code in one format; it is not a parser.
"""

import re
from dataclasses import dataclass, field

TOKEN = re.compile(r"[A-Za-z_]\w*|::|->|\[\[|\]\]|[{}()\[\];<>,=:&*~#]|\S")
CONTROL = {"if", "for", "while", "switch", "catch"}
MACRO = re.compile(r"[A-Z][A-Z0-9_]*\Z")
TEST_MACROS = {"TEST", "TEST_F", "TEST_P", "TYPED_TEST", "TYPED_TEST_P"}
NEVER_FUNCTIONS = {"using", "typedef", "static_assert", "return", "decltype", "alignas", "requires"}


@dataclass
class Function:
    """A function definition, or a declaration (then `last_line` is 0)."""

    name: str
    line: int
    last_line: int = 0
    nesting: int = 0
    parameters: int = 0
    is_override: bool = False
    is_qualified: bool = False

    @property
    def length(self) -> int:
        return self.last_line - self.line + 1 if self.last_line else 0


@dataclass
class Scope:
    """What an opening brace began."""

    kind: str  # namespace, class, function, control, other
    function: Function | None = None


@dataclass
class Token:
    """A word or mark and its line."""

    text: str
    line: int


@dataclass
class Scan:
    """The state of one pass over a file."""

    functions: list[Function] = field(default_factory=list)
    scopes: list[Scope] = field(default_factory=list)
    header: list[Token] = field(default_factory=list)
    openers: list[str] = field(default_factory=list)  # word before each open parenthesis
    last_closed: str = ""


def tokens_of(code: str) -> list[Token]:
    code = re.sub(
        r"^[ \t]*#(?:\\\n|[^\n])*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), code, flags=re.M
    )
    code = re.sub(r"\[\[\w[\w:]*\]\]", lambda m: " " * len(m.group(0)), code)
    tokens, line, position = [], 1, 0
    for match in TOKEN.finditer(code):
        line += code.count("\n", position, match.start())
        position = match.start()
        tokens.append(Token(match.group(0), line))
    return tokens


def functions_of(code: str) -> list[Function]:
    """All function definitions and declarations outside function bodies, in order."""
    scan = Scan()
    for token in tokens_of(code):
        step(scan, token)
    return scan.functions


def step(scan: Scan, token: Token) -> None:
    text = token.text
    inside = any(scope.kind == "function" for scope in scan.scopes)
    if text == "(":
        scan.openers.append(opener_word(scan.header))
    elif text == ")" and scan.openers:
        scan.last_closed = scan.openers.pop()
    elif text == "{":
        open_brace(scan, token, inside)
        return
    elif text == "}":
        close_brace(scan, token)
        return
    elif text == ";" and not scan.openers:
        if not inside and not any(scope.kind == "other" for scope in scan.scopes):
            declaration = function_of_header(scan.header)
            if declaration:
                scan.functions.append(declaration)
        scan.header = []
        return
    elif text == ":" and is_access_label(scan.header):
        scan.header = []
        return
    scan.header.append(token)


def is_access_label(header: list[Token]) -> bool:
    return len(header) == 1 and header[0].text in ("public", "private", "protected")


def opener_word(header: list[Token]) -> str:
    if header and header[-1].text == "constexpr":  # if constexpr (
        return "if"
    return header[-1].text if header else ""


def open_brace(scan: Scan, token: Token, inside: bool) -> None:
    if inside:
        kind = "control" if is_control(scan) else "other"
        if kind == "control":
            scan.header = []
            deepest = 1 + sum(scope.kind == "control" for scope in scan.scopes)
            function = next(s.function for s in reversed(scan.scopes) if s.kind == "function")
            assert function is not None
            function.nesting = max(function.nesting, deepest)
        scan.scopes.append(Scope(kind))
        if kind == "other" and not scan.openers:
            scan.header = []
        return
    in_initialiser = bool(scan.scopes) and scan.scopes[-1].kind == "other"
    kind = "other" if in_initialiser else kind_of_header(scan.header)
    if kind == "function":
        function = function_of_header(scan.header)
        if function is None:
            kind = "other"
        else:
            function.line = token.line
            scan.scopes.append(Scope("function", function))
            scan.header = []
            return
    scan.scopes.append(Scope(kind))
    if kind != "other":
        scan.header = []


def close_brace(scan: Scan, token: Token) -> None:
    if not scan.scopes:
        return
    scope = scan.scopes.pop()
    if scope.kind == "function" and scope.function is not None:
        scope.function.last_line = token.line
        scan.functions.append(scope.function)
    if scope.kind == "other" and (scan.header or scan.openers):
        scan.header.append(token)  # the brace of an initialiser: its statement goes on
    else:
        scan.header = []


def is_control(scan: Scan) -> bool:
    if not scan.header:
        return False
    last = scan.header[-1].text
    return last in ("else", "do", "try") or (last == ")" and scan.last_closed in CONTROL)


def without_template(words: list[str]) -> list[str]:
    """Drops `template <...>` from the front."""
    while words[:2] == ["template", "<"]:
        depth = 0
        for index, word in enumerate(words):
            depth += (word == "<") - (word == ">")
            if depth == 0 and index > 1:
                words = words[index + 1 :]
                break
        else:
            return []
    return words


def kind_of_header(header: list[Token]) -> str:
    words = without_template([token.text for token in header])
    if "namespace" in words[:2] or words[:1] == ["extern"] and words[1:2] == ['"']:
        return "namespace"
    if not words or words[0] == "enum" or words[-1] in ("=", "return", ","):
        return "other"
    if words[0] in ("class", "struct", "union"):
        return "class"
    if words[0] in ("friend", "static", "inline") and words[1:2] in (["class"], ["struct"]):
        return "class"
    if "(" not in words:
        return "other"
    if is_member_initialiser(words):
        return "other"
    return "function"


def is_member_initialiser(words: list[str]) -> bool:
    """`Name(...) : member_{`: the brace belongs to the member, not to the body."""
    if ")" not in words or ":" not in words[words.index(")") :]:
        return False
    return bool(re.match(r"\w", words[-1])) or words[-1] == ">"


def name_index(words: list[str]) -> int:
    """Index of the function's name: the word before the first parenthesis outside <>, or -1."""
    depth = 0
    for index, word in enumerate(words):
        if word == "<" and index and re.match(r"\w", words[index - 1]):
            depth += words[index - 1] != "operator"
        elif word == ">" and depth:
            depth -= 1
        elif word == "=" and depth == 0 and (index == 0 or words[index - 1] != "operator"):
            return -1
        elif word == "(" and depth == 0 and index:
            before = words[index - 1]
            if before == "operator":
                continue
            if index > 1 and "operator" in words[max(0, index - 4) : index]:
                return words.index("operator")
            if re.match(r"[A-Za-z_]", before):
                return index - 1
    return -1


def function_of_header(header: list[Token]) -> Function | None:
    words = without_template([token.text for token in header])
    if not words or words[0] in NEVER_FUNCTIONS or "class" in words[:1] or "struct" in words[:1]:
        return None
    index = name_index(words)
    if index < 0:
        return None
    name = words[index]
    line = header[0].line
    if name in TEST_MACROS:
        return Function("".join(words[index + 2 : words.index(")")]), line)
    if MACRO.match(name) and len(name) > 1:
        return None
    has_type = index > 0 or name[0].isupper()
    if name in NEVER_FUNCTIONS or not has_type:
        return None
    start = index + 1
    while start < len(words) and words[start] != "(":
        start += 1
    return Function(
        name=name,
        line=line,
        parameters=count_parameters(words[start:]),
        is_override="override" in words,
        is_qualified=index > 0 and words[index - 1] == "::",
    )


def count_parameters(words: list[str]) -> int:
    depth = angle = 0
    commas, seen = 0, []
    for index, word in enumerate(words):
        if word in "([{":
            depth += 1
        elif word in ")]}":
            depth -= 1
            if depth == 0:
                break
        elif word == "<" and re.match(r"\w", words[index - 1]):
            angle += 1
        elif word == ">" and angle:
            angle -= 1
        elif word == "," and depth == 1 and angle == 0:
            commas += 1
        if index:
            seen.append(word)
    if not seen or seen == ["void"]:
        return 0
    return commas + 1
