"""Runs that share a budget never borrow more than there is, whoever comes first and however often they start anew."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from proofset.runs.accounts import Account
from proofset.runs.responses import Responses

CAP, NONE = Decimal(10), Decimal(0)
RACER = """
import sys
from decimal import Decimal
from pathlib import Path
from proofset.runs.accounts import Account
from proofset.runs.responses import Responses

with Responses(Path(sys.argv[1])) as store:
    account = Account(store, "team", sys.argv[2], Decimal(10), Decimal(0))
    print("ready", flush=True)
    sys.stdin.readline()
    lent = Decimal(0)
    while granted := account.borrow(Decimal("0.007"), Decimal(0), lent):
        lent += granted
    print(lent, flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Responses]:
    with Responses(tmp_path) as made:
        yield made


def test_two_holders_together_borrow_exactly_the_cap(store: Responses) -> None:
    accounts = [Account(store, "team", holder, CAP, NONE) for holder in "ab"]
    rng, lent, spent = random.Random(3), [NONE, NONE], [NONE, NONE]
    for _ in range(400):
        n = rng.randrange(2)
        granted = accounts[n].borrow(Decimal(rng.randint(1, 60)) / 100, spent[n], lent[n])
        lent[n] += granted
        used = lent[n] * rng.randint(0, 10) / 10
        spent[n], lent[n] = spent[n] + used, lent[n] - used
        assert granted >= 0 and sum(spent) + sum(lent) <= CAP
    assert sum(spent) + sum(lent) == CAP
    for account, each in zip(accounts, spent, strict=True):
        account.close(each)


def test_a_part_of_what_is_wanted_is_better_than_nothing(store: Responses) -> None:
    account = Account(store, "team", "a", CAP, Decimal(8))
    assert account.borrow(Decimal(5), Decimal(8), NONE) == 2
    assert account.borrow(Decimal(5), Decimal(8), Decimal(2)) == 0
    account.close(Decimal(10))


def test_a_holder_that_starts_anew_replaces_what_it_left(store: Responses) -> None:
    killed = Account(store, "team", "a", CAP, NONE)
    assert killed.borrow(Decimal(9), NONE, NONE) == 9
    again = Account(store, "team", "a", CAP, Decimal(4))  # its log says: 4 of the 9 are spent
    other = Account(store, "team", "b", CAP, NONE)
    assert other.borrow(CAP, NONE, NONE) == 6
    for each in (killed, again, other):
        each.close(Decimal(4))


def test_what_is_left_of_a_loan_goes_back_at_the_end(store: Responses) -> None:
    first, second = (Account(store, "team", holder, CAP, NONE) for holder in "ab")
    assert first.borrow(CAP, NONE, NONE) == CAP
    assert second.borrow(Decimal(1), NONE, NONE) == 0
    first.close(Decimal(3))
    assert second.borrow(CAP, NONE, NONE) == 7
    second.close(Decimal(7))


def test_budgets_of_other_names_are_other_budgets(store: Responses) -> None:
    ours, theirs = (Account(store, name, "a", CAP, NONE) for name in ("team", "others"))
    assert ours.borrow(CAP, NONE, NONE) == theirs.borrow(CAP, NONE, NONE) == CAP
    ours.close(NONE)
    theirs.close(NONE)


def test_processes_that_race_borrow_exactly_the_cap(tmp_path: Path) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path), holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )
        for holder in "ab"
    ]  # fmt: skip
    for racer in racers:
        assert racer.stdout is not None and racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    lent = [Decimal(racer.communicate(timeout=60)[0].strip()) for racer in racers]
    assert sum(lent) == CAP


SPENDER = """
import asyncio, random, sys, time
from decimal import Decimal
from pathlib import Path
from proofset.errors import BudgetSpent
from proofset.models.purse import Amount, Caps, Purse
from proofset.runs.accounts import Account
from proofset.runs.responses import Responses

CAP = Decimal(10)

async def main(store):
    rng = random.Random(sys.argv[2])
    account = Account(store, "team", sys.argv[2], CAP, Decimal(0))
    purse = Purse(Caps(usd=CAP), loans=account)

    async def calls():
        while True:
            bound = Amount(Decimal(rng.randint(1, 20)) / 100, 10, 1)
            try:
                await purse.reserve(bound)
            except BudgetSpent:
                return
            await asyncio.sleep(0)
            purse.settle(bound, Amount(bound.usd * rng.randint(0, 100) / 100, 5, 1))

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(calls())
    assert purse.reserved == Amount()
    print(purse.spent.usd, flush=True)
    if sys.argv[3] == "killed":
        time.sleep(60)
    account.close(purse.spent.usd)

with Responses(Path(sys.argv[1])) as store:
    asyncio.run(main(store))
"""


def test_purses_of_several_processes_spend_the_cap_and_not_a_cent_more_and_the_dead_count(tmp_path: Path) -> None:
    spenders = [
        subprocess.Popen(
            [sys.executable, "-c", SPENDER, str(tmp_path), holder, "killed" if holder == "c" else ""],
            stdout=subprocess.PIPE, text=True,
        )
        for holder in "abc"
    ]  # fmt: skip
    spent = {}
    for holder, spender in zip("abc", spenders, strict=True):
        assert spender.stdout is not None
        spent[holder] = Decimal(spender.stdout.readline())
        if holder == "c":
            spender.kill()
        spender.communicate(timeout=60)
    assert CAP - Decimal("0.9") < sum(spent.values()) <= CAP  # what was lent and not needed is left over
    with Responses(tmp_path) as store:
        fourth = Account(store, "team", "d", CAP, NONE)
        while_dead = fourth.borrow(CAP, NONE, NONE)
        assert while_dead <= CAP - sum(spent.values())
        reopened = Account(store, "team", "c", CAP, spent["c"])
        assert while_dead + fourth.borrow(CAP, NONE, while_dead) == CAP - sum(spent.values())
        fourth.close(NONE)
        reopened.close(spent["c"])
