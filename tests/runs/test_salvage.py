"""A repair keeps every reply that is sound, drops what has changed, and puts the old file aside."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from proofset.errors import RunUnwritable, StoreDamaged
from proofset.runs import salvage
from proofset.runs.accounts import Account
from proofset.runs.responses import FILE, Responses
from proofset.runs.salvage import repair

BODIES = {n.to_bytes(16, "big"): random.Random(n).randbytes(1500) for n in range(400)}


def fill(folder: Path) -> Path:
    """A store of 400 replies, all in its one file."""
    with Responses(folder) as store:
        for key, body in BODIES.items():
            store.put(key, "m", body, Decimal("0.01"))
        store.used("m", Decimal("0.01"))
        store.learn("form", "json_schema")
    with closing(sqlite3.connect(folder / FILE)) as plain:
        plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder / FILE


def sound(folder: Path) -> set[bytes]:
    """Keys of the replies that are there, each as it was put in."""
    with Responses(folder) as store:
        found = {key: kept.body for key in BODIES if (kept := store.get(key)) is not None}
        assert store.fact("form") == "json_schema"
    assert all(BODIES[key] == body for key, body in found.items())
    return set(found)


def test_a_sound_store_is_the_same_afterwards(tmp_path: Path) -> None:
    fill(tmp_path)
    with Responses(tmp_path) as store:
        Account(store, "team", "a", Decimal(10), Decimal(3)).close(Decimal(4))
        before = store.shelves()
    assert repair(tmp_path) == (400, 0)
    assert sound(tmp_path) == set(BODIES)
    with Responses(tmp_path) as store:
        assert store.shelves() == before and before[0].hits == 1
        other = Account(store, "team", "b", Decimal(10), Decimal(0))
        assert other.borrow(Decimal(10), Decimal(0), Decimal(0)) == 6
        other.close(Decimal(0))
    assert (tmp_path / f"{FILE}.damaged").exists()


def test_one_byte_that_changed_in_a_reply_is_named_and_only_that_reply_is_lost(tmp_path: Path) -> None:
    path, key = fill(tmp_path), (7).to_bytes(16, "big")
    data = bytearray(path.read_bytes())
    at = data.index(BODIES[key][:64])
    data[at] ^= 1
    path.write_bytes(data)
    with Responses(tmp_path) as store, pytest.raises(StoreDamaged, match=key.hex()) as caught:
        store.get(key)
    assert "--repair" in caught.value.hint
    assert repair(tmp_path) == (399, 1)
    assert sound(tmp_path) == set(BODIES) - {key}


@pytest.mark.parametrize("seed", range(6))
def test_pages_that_are_gone_cost_what_was_on_them_and_no_more(tmp_path: Path, seed: int) -> None:
    path, rng = fill(tmp_path), random.Random(seed)
    data = bytearray(path.read_bytes())
    for page in rng.sample(range(len(data) // 4096 // 2, len(data) // 4096), 3):  # leaves and the index, not the root
        data[4096 * page : 4096 * (page + 1)] = rng.randbytes(4096)
    path.write_bytes(data)
    with Responses(tmp_path) as store, pytest.raises(StoreDamaged) as caught:
        for key in BODIES:
            store.get(key)
        store.prune(older_than_days=10_000)
    assert "--repair" in caught.value.hint
    on_them = sum(body not in bytes(data) for body in BODIES.values())
    kept, _ = repair(tmp_path)
    assert len(sound(tmp_path)) == kept >= 400 - on_them - 8


def test_repairs_can_be_repeated_and_none_overwrites_what_was_put_aside(tmp_path: Path) -> None:
    fill(tmp_path)
    for _ in range(3):
        assert repair(tmp_path) == (400, 0)
    aside = sorted(path.name for path in tmp_path.glob("*damaged*") if not path.name.endswith(("-wal", "-shm")))
    assert aside == [f"{FILE}.damaged", f"{FILE}.damaged.2", f"{FILE}.damaged.3"]
    assert not (tmp_path / f"{FILE}.new").exists()


def test_a_file_that_is_no_store_at_all_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"nothing of the kind" * 1000)
    with pytest.raises(StoreDamaged) as caught:
        Responses(tmp_path)
    assert "--repair" in caught.value.hint
    assert repair(tmp_path) == (0, 0)
    with Responses(tmp_path) as store:
        store.put(b"k" * 16, "m", b"body", None)


def test_a_price_that_is_no_number_costs_the_price_and_not_the_reply(tmp_path: Path) -> None:
    path = fill(tmp_path)
    with closing(sqlite3.connect(path)) as plain, plain:
        plain.execute("UPDATE responses SET usd = 'dear' WHERE id = 5")
    with Responses(tmp_path) as store, pytest.raises(StoreDamaged, match="price"):
        store.get((4).to_bytes(16, "big"))
    assert repair(tmp_path) == (400, 0)
    assert sound(tmp_path) == set(BODIES)


def test_many_ruined_pages_cost_what_lies_on_them_and_the_age_of_the_rest_stays(tmp_path: Path) -> None:
    bodies = {n.to_bytes(16, "big"): b"%05d" % n * 40 for n in range(6000)}
    with Responses(tmp_path, clock=lambda: 86400.0) as store:
        for key, body in bodies.items():
            store.put(key, "m", body, None)
    data = bytearray((tmp_path / FILE).read_bytes())
    leaves = [at for at in range(4096, len(data), 4096) if data[at] == 13]  # of the table; 10 are those of its index
    ruined = leaves[5::5]
    for at in ruined:
        data[at : at + 4096] = bytes(4096)
    assert len(ruined) > 50
    (tmp_path / FILE).write_bytes(data)
    whole = sum(body in data for body in bodies.values())
    kept, lost = repair(tmp_path)
    assert (kept, lost) == (whole, 0) and 0.7 * 6000 < whole < 0.85 * 6000
    with Responses(tmp_path, clock=lambda: 86400.0 * 10) as store:
        found = {key: there.body for key in bodies if (there := store.get(key)) is not None}
        assert found.items() <= bodies.items() and len(found) == whole
        assert store.prune(older_than_days=8.5) == whole


def test_a_repair_that_is_killed_changes_nothing_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(salvage, "_put_aside", killed)
        with pytest.raises(KeyboardInterrupt):
            repair(tmp_path)
    assert sound(tmp_path) == set(BODIES)
    assert repair(tmp_path) == (400, 0)
    assert sound(tmp_path) == set(BODIES)


def test_a_store_that_somebody_has_open_is_not_taken_from_under_him(tmp_path: Path) -> None:
    fill(tmp_path)
    with Responses(tmp_path) as store:
        with pytest.raises(RunUnwritable, match="another process has it open") as caught:
            repair(tmp_path)
        store.put(b"late", "m", b"paid for meanwhile", None)
    assert "again" in caught.value.hint
    assert repair(tmp_path) == (401, 0)


def test_where_there_is_no_store_there_is_one_afterwards(tmp_path: Path) -> None:
    assert repair(tmp_path) == (0, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILE]
