"""The purse knows what was spent before, and a speaker is told from any other by what decides its words alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proofset import artifacts
from proofset import speaking as speaking_module
from proofset.config import Study
from proofset.errors import RunUnwritable
from proofset.judging import TRIAL
from proofset.models.purse import NOTHING, Amount
from proofset.models.scripted import ScriptedChat
from proofset.models.structured import Shape, _with_schema
from proofset.nouns.candidate import Brief
from proofset.nouns.event import Event, Paused, Spent
from proofset.nouns.evidence import Anchor, Evidence
from proofset.nouns.result import Usage, UsageBasis
from proofset.plugins import Purpose, Request
from proofset.runs.folder import Run
from proofset.runs.responses import Responses, home
from proofset.speakers import Model
from proofset.speaking import BYTES_A_TOKEN, CRITIC, GENERATOR, Speaking, _Dearest, _identity, critics_of, make, used_up
from proofset.synthesizing.reviewer import Answered, ModelCritic, Opinion
from proofset.walk import Walk

SERVER: dict[str, Any] = {
    "engine": "chat", "base_url": "http://127.0.0.1:1/v1", "model": "m", "usd_per_million_input": "1000",
    "usd_per_million_output": "2000",
}  # fmt: skip
ASK = Request(prompt="one two", max_tokens=4, temperature=0.0, purpose=Purpose("generate", "edge", "b1"))


def open_walk(folder: Path, **budget: Any) -> Walk:
    """A walk of a study with a served model."""
    study = Study.parse(
        {"name": "w", "ingest": {"path": "rows.csv"}, "synthesize": {"model": SERVER, "budget": budget}}
    )
    return Walk(Run.open(folder, study.model_dump(mode="json"), ""), study, folder.parent)


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    made = open_walk(tmp_path / "w")
    with made.run:
        yield made


def spent(stage: str, usd: str | None, basis: UsageBasis = UsageBasis.OVERRIDE) -> Spent:
    """An event of one attempt of 7 tokens in and 3 out."""
    money = None if usd is None else Decimal(usd)
    return Spent(usage=Usage(model="m", stage=stage, input_tokens=7, output_tokens=3, usd=money, basis=basis))


def test_a_trials_calls_are_paid_out_of_the_loops_budget_and_the_verbs_own_work_is_not() -> None:
    assert used_up([spent(TRIAL, "0.3"), spent("calibrate", "7")]) == Amount(Decimal("0.3"), 10, 1)


def test_a_panel_that_is_asked_several_questions_is_kept_enough_for(tmp_path: Path) -> None:
    def bound(**critic: Any) -> Amount:
        study = Study.parse(
            {"name": "w", "ingest": {"path": "rows.csv"}, "synthesize": {"model": SERVER, "critic": critic}}
        )

        async def scenario(run: Run) -> Amount:
            speaking = Speaking(Walk(run, study, tmp_path))
            critics = [
                speaking.metered(ScriptedChat(lambda request: ""), place) for _, place in critics_of_study(study)
            ]
            found = speaking.judging_bound(critics)(ASK)
            await speaking.close()
            return found

        folder = tmp_path / f"w{len(list(tmp_path.iterdir()))}"
        with Run.open(folder, study.model_dump(mode="json"), "") as run:
            return asyncio.run(scenario(run))

    one = bound(model=SERVER)
    assert bound(model=SERVER, panel=[SERVER]).requests == 2 * one.requests
    assert bound(model=SERVER, questions=["opinion", "blind", "pairwise"]).requests == 4 * one.requests
    assert bound(model=SERVER, panel=[SERVER], questions=["blind", "opinion"]).usd == 4 * (one.usd or 0)


def critics_of_study(study: Study) -> list[tuple[Model, str]]:
    """The critic models, and where they stand."""
    walk: Any = SimpleNamespace(study=study)
    return critics_of(walk)


def test_used_up_adds_the_loops_calls_and_replays_cost_nothing() -> None:
    events: list[Event] = [
        spent("generate", "0.1"), spent("critic", "0.2"), spent("generate", None, UsageBasis.UNPRICED),
        spent("judge", "5"), spent("generate", "0", UsageBasis.REPLAY), Paused(model="m", seconds=1.0, why="x"),
    ]  # fmt: skip
    assert used_up(events) == Amount(Decimal("0.3"), 30, 3)
    assert used_up(events[3:]) == used_up([]) == NOTHING


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"base_url": "http://127.0.0.1:2/v1"}, True), ({"model": "n"}, True), ({"form": "chat"}, True),
        ({"dialect": "vllm"}, True), ({"reasoning": "low"}, True), ({"query": {"api-version": "1"}}, True),
        ({"base_url": "http://127.0.0.1:1/v1/"}, False), ({"slots": 3}, False), ({"timeout_s": 5.0}, False),
        ({"give_up_s": 5.0}, False), ({"usd_per_million_input": "9"}, False), ({"api_key_env": "KEY"}, False),
        ({"usd_per_million_output": "9"}, False), ({"requests_per_minute": 5}, False),
        ({"allow_unpriced": True}, False),
        ({"tokens_per_minute": 5}, False), ({"proxy": "http://p:1"}, False), ({"ca_file": "ca.pem"}, False),
    ],
)  # fmt: skip
def test_the_identity_is_what_decides_the_words(walk: Walk, change: dict[str, Any], differs: bool) -> None:
    before = _identity(walk, Model(**SERVER), "m")
    assert before == _identity(walk, Model(**SERVER), "m")
    assert (_identity(walk, Model(**{**SERVER, **change}), "m") != before) is differs
    assert _identity(walk, Model(**SERVER), "another") != before


def test_the_identity_of_a_model_in_this_process_is_its_weights_whatever_their_name(walk: Walk, tmp_path: Path) -> None:
    for name, weights in (("one", "same"), ("two", "same"), ("three", "other")):
        (tmp_path / name).write_text(weights, encoding="utf-8")
    one, two, three = (_identity(walk, Model(engine="local", path=name), "m") for name in ("one", "two", "three"))
    assert one == two != three


async def said(walk: Walk) -> tuple[ScriptedChat, Speaking]:
    """Ask once, and close."""
    speaking, model = Speaking(walk), ScriptedChat(lambda request: "three four five")
    try:
        metered = speaking.metered(model, GENERATOR)
        assert (await metered.reply(ASK)).text == "three four five"
        assert speaking.standing().reserved_usd == 0
        assert speaking.standing().meters == (metered.meter(),)
    finally:
        await speaking.close()
    return model, speaking


def test_a_call_is_priced_logged_and_kept_and_the_next_walk_replays_it(walk: Walk, tmp_path: Path) -> None:
    first, speaking = asyncio.run(said(walk))
    usage = [event.usage for event in walk.run.events if isinstance(event, Spent)][-1]
    assert (usage.usd, usage.stage, usage.brief_id) == (Decimal("0.008"), "generate", "b1")
    assert speaking.purse.spent == used_up(walk.run.events) == Amount(Decimal("0.008"), 5, 1)
    other = open_walk(tmp_path / "other")
    with other.run:
        second, speaking = asyncio.run(said(other))
        replays = [event.usage for event in other.run.events if isinstance(event, Spent)]
    assert (len(first.requests), len(second.requests)) == (1, 0)
    assert [(u.basis, u.usd, u.avoided_usd) for u in replays] == [(UsageBasis.REPLAY, Decimal(0), Decimal("0.008"))]
    assert speaking.purse.spent == NOTHING


def test_what_earlier_walks_of_the_run_used_up_counts(walk: Walk) -> None:
    walk.tell(spent("generate", "0.5"))

    async def scenario() -> Amount:
        speaking = Speaking(walk)
        await speaking.close()
        return speaking.purse.spent

    assert asyncio.run(scenario()) == Amount(Decimal("0.5"), 10, 1)


def test_runs_that_share_a_budget_see_what_the_others_spent(tmp_path: Path) -> None:
    async def scenario(folder: str) -> Decimal:
        walk = open_walk(tmp_path / folder, usd="10", shared="team")
        with walk.run:
            speaking = Speaking(walk)
            bound = await speaking.purse.reserve(Amount(Decimal(1), 0, 1))
            speaking.purse.settle(bound, Amount(Decimal(1), 0, 1))
            account = speaking._account
            assert account is not None
            left = account.borrow(Decimal(100), speaking.purse.spent.usd, Decimal(0))
            await speaking.close()
        return left

    assert asyncio.run(scenario("a")) == 9
    assert asyncio.run(scenario("b")) == 8


def test_where_the_context_ends_decides_the_words_and_so_does_the_version_of_pinned_weights(
    walk: Walk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one").write_text("weights", encoding="utf-8")
    for path in ("one", "artifact:smollm2-135m-instruct"):
        long, short = (Model(engine="local", path=path, context_tokens=n) for n in (1024, 512))
        assert _identity(walk, long, "m") != _identity(walk, short, "m")
        assert _identity(walk, long, "m") == _identity(walk, long.model_copy(update={"threads": 3, "slots": 2}), "m")
    before = _identity(walk, Model(), "m")
    newer = {name: replace(artifact, version="next") for name, artifact in artifacts.pinned().items()}
    monkeypatch.setattr(speaking_module, "pinned", lambda: newer)
    assert _identity(walk, Model(), "m") != before


def test_the_bound_takes_input_at_its_dearest(tmp_path: Path) -> None:
    prices = {**SERVER, "usd_per_million_cached_input": "5000"}
    study = Study.parse({"name": "w", "ingest": {"path": "rows.csv"}, "synthesize": {"model": prices}})

    async def scenario(run: Run) -> Amount:
        speaking = Speaking(Walk(run, study, tmp_path))
        bound = speaking.metered(ScriptedChat(lambda request: ""), GENERATOR).bound(ASK)
        await speaking.close()
        return bound

    with Run.open(tmp_path / "w", study.model_dump(mode="json"), "") as run:
        bound = asyncio.run(scenario(run))
    assert bound.usd == (Decimal(5000) * (bound.tokens - ASK.max_tokens) + Decimal(2000) * ASK.max_tokens) / 10**6


def test_in_this_process_a_call_is_bounded_by_the_dearest_so_far() -> None:
    dearest = _Dearest(None, in_process=True)
    assert dearest.bound(ASK).usd == 0
    for usd in ("0.2", "0.5", "0.1"):
        dearest.seen(Decimal(usd), UsageBasis.IMPUTED)
    assert dearest.bound(ASK).usd == Decimal("0.5")
    assert _Dearest(None, in_process=False).bound(ASK).usd == 0


def test_a_model_or_an_account_that_cannot_be_let_go_does_not_keep_the_store_open(tmp_path: Path) -> None:
    class Stuck(ScriptedChat):
        async def close(self) -> None:
            raise OSError("stuck")

    async def scenario(walk: Walk) -> None:
        speaking = Speaking(walk)
        metered = speaking.metered(Stuck(lambda request: "a reply"), GENERATOR)
        await metered.reply(ASK)
        with pytest.raises(OSError, match="stuck"):
            await speaking.close()
        with pytest.raises(RunUnwritable, match="closed"):
            speaking.store.flush()

    walk = open_walk(tmp_path / "w")
    with walk.run:
        asyncio.run(scenario(walk))
    with Responses(home()) as store:
        assert [shelf.replies for shelf in store.shelves()] == [1]


@pytest.mark.parametrize("letters", ["a", "ä", "語"])
def test_what_is_kept_for_judging_covers_the_critics_call(tmp_path: Path, letters: str) -> None:
    model = {**SERVER, "model": "critic", "form": "chat"}
    critic = {"model": model, "rubric": f"It is {letters * 300} in every way."}
    study = Study.parse(
        {"name": "w", "ingest": {"path": "rows.csv"}, "synthesize": {"model": SERVER, "critic": critic}}
    )

    async def scenario(walk: Walk) -> None:
        speaking = Speaking(walk)
        reader = speaking.metered(ScriptedChat(lambda request: ""), CRITIC)
        texts = [f"{letters * 40} {n}" for n in range(5)]
        brief = Brief(
            id="b", slice="edge", label="edge", number=0, opening="", unseen_fold=0, seed=1, shared_chars=0,
            evidence=Evidence(), prompt="\n".join(texts),
            anchors=tuple(Anchor(record_id=text, text=text, label="edge") for text in texts),
        )  # fmt: skip
        asked = Request(prompt=brief.prompt, max_tokens=64, temperature=1.0)
        candidate = letters * (BYTES_A_TOKEN * asked.max_tokens // len(letters.encode()))
        settings = walk.study.synthesize.critic
        ask = speaking.asker(reader, Opinion)

        async def answered(request: Request) -> Answered:
            return Answered(*await ask(request))

        reviewing = ModelCritic(answered, settings, lambda name: f"{name} record")
        request = reviewing.request(brief, candidate)
        told = _with_schema(request, Shape.of(Opinion).schema_json, "prompted")
        kept, needed = speaking.judging_bound([reader])(asked), reader.bound(told)
        assert needed.usd <= kept.usd and needed.tokens <= kept.tokens and needed.requests <= kept.requests
        await speaking.close()

    with Run.open(tmp_path / "w", study.model_dump(mode="json"), "") as run:
        asyncio.run(scenario(Walk(run, study, tmp_path)))


def test_certificates_lie_where_the_study_says_from_where_it_lies(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Model] = []
    monkeypatch.setattr(speaking_module, "find", lambda seam, name: lambda settings, path: asked.append(settings))
    make(walk, Model(engine="chat", base_url="http://x/v1", model="m", ca_file="authority.pem"), GENERATOR)
    assert Path(asked[0].ca_file) == walk.base / "authority.pem"
