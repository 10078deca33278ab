"""Writes the reference: one page per module of the installed package, beside this file.

usage: generate.py [FOLDER]. The unit test test_reference.py compares what is here with what it makes.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Iterator

# In this order a name is described where it is met first; further pages link there.
MODULES = ["sop.database", "sop.transaction", "sop.session", "sop.btree", "sop.errors"]
MODULES += ["sop.testing", "sop.ai", "sop", "sop.aio"]
# What has its twin there is described once; its page of sop.aio shows how it is called.
CLASSES = ["Btree", "Database", "PendingCommit", "Session", "Transaction", "WriteResult"]
# All other classes that are no dataclasses are made by calls.
CONSTRUCTED = ["Context", "Database", "Server"]
BLOCKS = {"__aenter__": "async with", "__enter__": "with", "__aiter__": "async for"}
BLOCKS |= {"__iter__": "for", "__await__": "await"}


def text_of(thing: Any) -> str:
    """A docstring as Markdown: its indented programs as blocks."""
    lines: list[str] = []
    in_program = False
    for line in inspect.cleandoc(thing.__doc__ or "").splitlines():
        is_indented = line.startswith("    ")
        if is_indented and not in_program:
            lines.append("```python")
        elif line and in_program and not is_indented:
            # The empty line before this one ended the program.
            lines[-1:] = ["```", ""]
        in_program = is_indented or (in_program and not line)
        lines.append(line.removeprefix("    ") if in_program else line)
    return "\n".join([*lines, *(["```"] if in_program else [])])


def parameters_of(function: Any) -> str:
    """What is in the parentheses; annotations as they are written."""
    parts: list[str] = []
    is_keyword_only = False
    for each in list(inspect.signature(function).parameters.values()):
        if each.name in ("self", "cls"):
            continue
        if each.kind is each.KEYWORD_ONLY and not is_keyword_only:
            parts.append("*")
            is_keyword_only = True
        stars = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
        shown = stars + each.name
        if each.annotation is not each.empty:
            shown += f": {each.annotation}"
        if each.default is not each.empty:
            shown += f" = {value_of(each.default)}"
        parts.append(shown)
    return ", ".join(parts)


def value_of(default: Any) -> str:
    """A default as one would write it."""
    if isinstance(default, enum.Enum):
        return f"{type(default).__name__}.{default.name}"
    return repr(default)


def call_of(name: str, function: Any) -> str:
    """A call with its parameters and what it returns."""
    returned = function.__annotations__.get("return")
    arrow = f" -> {returned}".replace("'", "") if returned not in (None, "None") else ""
    awaited = "await " if inspect.iscoroutinefunction(function) else ""
    return f"{awaited}{name}({parameters_of(function)}){arrow}"


def members_of(cls: type) -> Iterator[tuple[str, Any]]:
    """Public members in the order of their definition, bases first."""
    seen: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith("sop"):
            seen.update(vars(base))
    for name, member in seen.items():
        if not name.startswith("_"):
            yield name, getattr(member, "__wrapped__", member)


def describe_members(cls: type) -> Iterator[str]:
    """A paragraph per method and property."""
    for name, member in members_of(cls):
        if isinstance(member, property):
            returned = (member.fget.__annotations__ if member.fget else {}).get("return", "")
            yield f"**`{name}: {returned}`**  \n{text_of(member)}\n"
        elif isinstance(member, (staticmethod, classmethod)):
            yield f"**`{call_of(f'{cls.__name__}.{name}', member.__func__)}`**  \n{text_of(member)}\n"
        elif inspect.isfunction(member):
            yield f"**`{call_of(name, member)}`**  \n{text_of(member)}\n"


def describe_fields(cls: Any) -> Iterator[str]:
    """A line per field of a dataclass."""
    for field in dataclasses.fields(cls):
        default = ""
        if field.default is not dataclasses.MISSING:
            default = f" = {value_of(field.default)}"
        elif field.default_factory is not dataclasses.MISSING:
            default = f" = {field.default_factory()!r}"
        yield f"- `{field.name}: {field.type}{default}`"
    yield ""


def describe(name: str, thing: Any) -> Iterator[str]:
    """The section of a name."""
    yield f"## {name}\n"
    if not inspect.isclass(thing):
        if inspect.isfunction(thing):
            inner = getattr(thing, "__wrapped__", thing)
            yield f"`{call_of(name, inner)}`\n"
            yield text_of(inner) + "\n"
        else:
            yield f"`{value_of(thing)}`\n"
        return
    bases = [base.__name__ for base in thing.__bases__ if base is not object]
    if issubclass(thing, enum.Enum):
        yield text_of(thing) + "\n"
        yield "\n".join(f"- `{name}.{member.name}`" for member in thing) + "\n"
        return
    if issubclass(thing, Exception):
        yield f"{text_of(thing)}\n"
        yield f"Base: {', '.join(bases)}.\n"
        if "default_reason" in vars(thing):
            yield f"Reason `{thing.default_reason}`, code {thing.default_code.name}.\n"
        return
    if name in CONSTRUCTED:
        yield f"`{name}({parameters_of(thing.__init__)})`\n"
    yield text_of(thing) + "\n"
    if dataclasses.is_dataclass(thing):
        yield "\n".join(describe_fields(thing))
    yield from describe_members(thing)


def describe_twin(name: str, cls: type) -> Iterator[str]:
    """How a class of sop.aio is called; what the calls do is said once."""
    yield f"## {name}\n"
    yield text_of(cls) + "\n"
    blocks = [f"`{word}`" for method, word in BLOCKS.items() if hasattr(cls, method)]
    if blocks:
        yield f"Used by {', '.join(blocks)}.\n"
    for member_name, member in members_of(cls):
        if isinstance(member, property):
            yield f"- `{member_name}`"
        elif inspect.isfunction(member):
            yield f"- `{call_of(member_name, member)}`"
    yield ""


def page_of(module: ModuleType, homes: dict[str, str]) -> str:
    """The page of one module. `homes` says where names are described, and learns of those here."""
    parts = [f"# {module.__name__}\n", text_of(module) + "\n"]
    links: list[str] = []
    for name in module.__all__:
        thing = getattr(module, name)
        if inspect.ismodule(thing) and thing.__name__ in MODULES:
            links.append(f"- [{name}]({thing.__name__}.md)")
        elif inspect.ismodule(thing):
            links.append(f"- {name}: the module `{thing.__name__}` has these names, too")
        elif module.__name__ == "sop.aio" and name in CLASSES:
            parts.extend(describe_twin(name, thing))
        elif name in homes and getattr(importlib.import_module(homes[name]), name) is thing:
            links.append(f"- [{name}]({homes[name]}.md#{name.lower()})")
        else:
            homes[name] = module.__name__
            parts.extend(describe(name, thing))
    if links:
        parts += ["## Described elsewhere\n", *links, ""]
    return "\n".join(parts).rstrip() + "\n"


def pages() -> dict[str, str]:
    """Every page by its file's name."""
    homes: dict[str, str] = {}
    made = {}
    for name in MODULES:
        made[f"{name}.md"] = page_of(importlib.import_module(name), homes)
    return made


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for file_name, text in pages().items():
        (folder / file_name).write_text(text)
