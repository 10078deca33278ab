"""The reference says what the package has."""

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
generate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(generate)
PAGES = generate.pages()


@pytest.mark.parametrize("name", PAGES)
def test_page_is_what_would_be_written(name):
    assert (DOCS / name).read_text() == PAGES[name], "run clients/python/docs/generate.py"


@pytest.mark.parametrize("name", generate.MODULES)
def test_page_has_every_public_name(name):
    module = importlib.import_module(name)
    page = PAGES[f"{name}.md"]
    public = [each for each in vars(module).get("__all__", [])]
    assert len(public) > 1
    for each in public:
        assert f"\n## {each}\n" in page or f"- [{each}](" in page or f"- {each}: " in page, each


def test_members_are_there_with_their_parameters():
    page = PAGES["sop.btree.md"]
    assert "**`find(key: K) -> bool`**" in page
    assert "- `page_size: int = 20`" in page
    assert "- `await find(key: K) -> bool`" in PAGES["sop.aio.md"]
    assert "Reason `CONFLICT`, code ABORTED." in PAGES["sop.errors.md"]


def test_no_page_is_left_over():
    assert {path.name for path in DOCS.glob("*.md")} == {*PAGES, "README.md"}
