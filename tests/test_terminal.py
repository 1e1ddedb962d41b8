from __future__ import annotations

import io
import re
from decimal import Decimal

import pytest
from rich.console import Console

from proofset import artifacts, terminal
from proofset.runs.responses import Shelf


def test_the_list_of_artifacts_names_size_licence_and_package() -> None:
    out = io.StringIO()
    listing = [(one, one.name == "cwe") for one in artifacts.pinned().values()]
    Console(file=out, width=200).print(terminal.artifact_list(listing))
    text = out.getvalue()
    for one, _ in listing:
        assert one.name in text and one.licence in text and one.version in text
    assert text.count("in the cache") == 1 and text.count("MB to download") == len(listing) - 1


def test_download_progress_counts_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(terminal, "console", lambda stderr=False: Console(file=out, force_terminal=True, width=100))
    with terminal.FetchProgress() as progress:
        progress.report("weights", 10, 100)
        progress.report("weights", 100, 100)
    assert "weights" in out.getvalue() and "100/100 bytes" in out.getvalue()


def table(told: dict[str, object], *shelves: Shelf) -> str:
    out = io.StringIO()
    Console(file=out, width=120).print(terminal.shelf_table(told, shelves))
    return out.getvalue()


def test_the_store_is_shown_model_by_model_in_words_that_cannot_be_styles() -> None:
    shelf = Shelf(
        speaker="[red]mini[/red] at http://x/v1", replies=1200, megabytes=3.456, paid_usd=Decimal("1.5"), hits=7,
        saved_usd=Decimal("0.012"),
    )  # fmt: skip
    text = table({"store": "/tmp/[b]store"}, shelf)
    assert text.splitlines()[0] == "The store of replies: /tmp/[b]store"
    row = text.splitlines()[-1]
    assert row.split() == ["[red]mini[/red]", "at", "http://x/v1", "1,200", "3.5", "$1.50", "7", "$0.012"]


def test_what_was_done_to_the_store_is_said() -> None:
    assert "It is empty." in table({"store": "s"})
    assert "Repaired: 5 replies kept, 2 were not sound." in table({"store": "s", "kept": 5, "lost": 2})
    assert "Thrown away: 0 replies." in table({"store": "s", "thrown_away": 0})


def test_what_others_named_cannot_move_the_cursor() -> None:
    shelf = Shelf(
        speaker="a\x1b[2Jb\r\n\u202ec", replies=1, megabytes=0, paid_usd=Decimal(0), hits=0, saved_usd=Decimal(0)
    )
    text = table({"store": "/tmp/\x1b[31mx\ny"}, shelf)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    assert len(text.splitlines()) == 4  # store, a blank, heading, model


def test_a_narrow_terminal_cuts_the_models_name_and_no_number() -> None:
    shelf = Shelf(
        speaker="m" * 100, replies=12_345, megabytes=1234.5, paid_usd=Decimal("12.5"), hits=678,
        saved_usd=Decimal("1.25"),
    )  # fmt: skip
    out = io.StringIO()
    Console(file=out, width=60).print(terminal.shelf_table({"store": "s"}, [shelf]))
    row = out.getvalue().splitlines()[-1]
    assert row.split()[1:] == ["12,345", "1,234.5", "$12.50", "678", "$1.25"]
    assert row.split()[0].endswith("…")
    assert len(row.rstrip()) <= 60
