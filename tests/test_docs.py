"""The examples in the documentation run.

All ```` ```python ```` blocks of a page share one namespace and run from top to bottom in an empty folder, as a reader
would type them. A block opened with ```` ```python slow ```` makes its page a slow test.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "docs/plugins.md")


def blocks(markdown: str) -> list[tuple[int, bool, str]]:
    """The Python blocks of a page: line of the first statement (1-based), whether it is slow, source."""
    found = re.finditer(r"^```python( slow)?\n(.*?)^```$", markdown, re.MULTILINE | re.DOTALL)
    return [(markdown.count("\n", 0, m.start(2)) + 1, bool(m.group(1)), m.group(2)) for m in found]


def run(page: str, markdown: str, module: ModuleType) -> None:
    """Run a page's blocks; a failure names the page and its line."""
    for line, _, source in blocks(markdown):
        exec(compile("\n" * (line - 1) + source, page, "exec"), vars(module))


def _marks(page: str) -> list[pytest.MarkDecorator]:
    """A page with a slow block is a slow test."""
    slow = any(is_slow for _, is_slow, _ in blocks((ROOT / page).read_text("utf-8")))
    return [pytest.mark.slow] if slow else []


@pytest.mark.parametrize("page", [pytest.param(page, marks=_marks(page)) for page in PAGES])
def test_examples_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("example")
    # Dataclasses look their module up by name.
    monkeypatch.setitem(sys.modules, "example", module)
    monkeypatch.chdir(tmp_path)
    run(page, (ROOT / page).read_text("utf-8"), module)


def test_every_protocol_has_an_example() -> None:
    from proofset import plugins

    text = (ROOT / "docs/plugins.md").read_text("utf-8")
    protocols = [name for name, value in vars(plugins).items() if getattr(value, "_is_protocol", False)]
    protocols = [name for name in protocols if getattr(plugins, name).__module__ == plugins.__name__]
    assert len(protocols) > 4
    code = "".join(source for _, _, source in blocks(text))
    assert [name for name in protocols if not re.search(rf": {name} = |-> {name}:", code)] == []


def test_blocks_keep_their_line_and_share_names() -> None:
    page = "# T\n\n```python\nx = 1\n```\n\n```toml\nx = [\n```\n\n```python slow\nassert x == 2\n```\n"
    assert blocks(page) == [(4, False, "x = 1\n"), (12, True, "assert x == 2\n")]
    with pytest.raises(AssertionError) as caught:
        run("page.md", page, ModuleType("example"))
    assert (str(caught.traceback[-1].path), caught.traceback[-1].lineno) == ("page.md", 11)
