"""Speakers put together: a model, the store of replies, the gate before its server, the purse and the books.

Rooms on one floor are strangers; here a model meets the store that remembers what it said, the prices that say what it
cost, and the budget that all models of a run spend from.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import reduce
from typing import TypeVar

from pydantic import BaseModel

from proofset.artifacts import PREFIX, pinned
from proofset.costing.catalogue import Catalogue
from proofset.costing.pricebook import PriceBook
from proofset.costing.prices import IN_PROCESS, Price, Tariff, pricer
from proofset.costing.tariffs import Known, known
from proofset.errors import BudgetSpent, ModelError
from proofset.models.admission import Admission
from proofset.models.batch import Progress
from proofset.models.books import Books, token_bound
from proofset.models.breaker import Breaker
from proofset.models.chat import EndpointChat
from proofset.models.dialects import SELF_HOSTED, dialect_of
from proofset.models.halfprice import HalfPrice
from proofset.models.metered import UNCHARGED, Metered
from proofset.models.purse import Amount, Purse, caps_of
from proofset.models.structured import Ladder, Shape, Shaped, ask
from proofset.nouns.event import Event, Paused, Spent
from proofset.nouns.record import content_id
from proofset.nouns.result import Standing, Usage, UsageBasis
from proofset.plugins import ChatModel, Purpose, Request, find
from proofset.runs.accounts import Account
from proofset.runs.responses import Responses, home
from proofset.speakers import Model
from proofset.walk import Walk

GENERATOR, CRITIC = "synthesize.model", "synthesize.critic.model"
"""Where the settings of the two speakers stand in the study."""
BYTES_A_TOKEN = 8
"""Bytes of a candidate for each token it may have, when the cost of judging it is bounded before it is written."""
LOOP_STAGES = frozenset({"generate", "critic", "trial"})
"""Stages that the loop's budget pays for: calls to models."""

M = TypeVar("M", bound=BaseModel)
Told = tuple[M | None, str]
"""A value in a shape and nothing, or None and what came instead."""


class Speaking:
    """Everything that the models of one walk share; closed when the walk is over. Made inside the event loop."""

    def __init__(self, walk: Walk) -> None:
        """Open the store and the purse; the purse knows what earlier walks of this run used up."""
        budget = walk.study.synthesize.budget
        caps, spent = caps_of(budget.usd, budget.tokens, budget.requests, budget.seconds), used_up(walk.run.events)
        self._walk = walk
        self.store = Responses(home())
        self._account = None
        if budget.shared and caps.usd is not None:
            holder = content_id("holder", socket.gethostname(), walk.run.folder.resolve())
            self._account = Account(self.store, budget.shared, holder, caps.usd, spent.usd)
        self.purse = Purse(caps, spent, loans=self._account)
        self._speakers: list[Metered] = []
        self._gates: dict[str, Admission] = {}
        self._told: dict[str, str] = {}
        self._errands: list[asyncio.Task[None]] = []

    def metered(self, model: ChatModel, place: str, for_judging: Callable[[Request], Amount] | None = None) -> Metered:
        """The model of the settings at ``place``, with store, gate, purse and books round it."""
        settings = self._settings(place)
        if settings.batch:
            model = self._in_batches(model, settings, place)
        found = prices_of(self._walk, settings, place)
        price = price_of(self._walk, settings, place, found)
        dearest = _Dearest(found.tariff, settings.engine in IN_PROCESS)
        made = Metered(
            model=model,
            identity=_identity(self._walk, settings, model.name),
            store=self.store,
            admission=self._gate(settings, model),
            breaker=Breaker(settings.give_up_s),
            purse=self.purse,
            books=Books(price=lambda usage: dearest.seen(*price(usage)), spent=self._spent, paused=self._paused),
            bound=dearest.bound,
            for_judging=for_judging,
        )
        self._speakers.append(made)
        return made

    def _gate(self, settings: Model, model: ChatModel) -> Admission:
        """The gate before the model's server. Models on a server of one's own share its room, and so their gate."""
        if settings.batch:  # nobody is in anybody's way there
            return Admission(model.parallel, first=model.parallel)
        paced = (settings.requests_per_minute, settings.tokens_per_minute)
        gate = Admission(max(settings.slots, model.parallel), requests_per_minute=paced[0], tokens_per_minute=paced[1])
        if not settings.base_url or any(paced):
            return gate
        if dialect_of(settings.base_url, settings.dialect).name not in SELF_HOSTED:
            return gate
        shared = self._gates.setdefault(settings.base_url.rstrip("/"), gate)
        shared.most = max(shared.most, gate.most)
        return shared

    def _in_batches(self, chat: ChatModel, settings: Model, place: str) -> HalfPrice:
        """The model, asked through its batch API; what is handed in lies in the run's folder."""
        assert isinstance(chat, EndpointChat)  # the settings allow no other

        def report(progress: Progress) -> None:
            told = f"{chat.name}: {progress.answered:,} of {progress.asked:,} requests in batches are answered"
            if self._told.get(place) != told:
                self._told[place] = told
                self._walk.notice(told)

        folder = self._walk.run.folder / "batches" / place.removeprefix("synthesize.").replace(".", "-")
        return HalfPrice(chat, folder, give_up_s=settings.give_up_s, report=report)

    def critics(self) -> list[Metered]:
        """The critic models of the study: the first one, and the rest of its panel."""
        return [self.metered(make(self._walk, model, place), place) for model, place in critics_of(self._walk)]

    def asker(self, model: Metered, shape: type[M], stage: str = "critic") -> Callable[[Request], Awaitable[Told[M]]]:
        """Has requests answered in a shape; how the server is asked for JSON is remembered in the store.

        That is found out at once, while the first candidates are written: whoever needs it waits for it.
        """
        wanted, facts = Shape.of(shape), _Facts(self.store)
        ladder = Ladder(facts.known([model]), facts.learned)

        async def answered(request: Request) -> Told[M]:
            found = await ask(model, request, wanted, ladder=ladder)
            if isinstance(found, Shaped):
                return found.value, ""
            return None, f"{found.reason}: {found.told}"

        async def got_to_know() -> None:
            with suppress(BudgetSpent, ModelError):  # whoever needs it meets the same
                await ladder.form_of(model, Purpose(stage))

        self._errands.append(asyncio.create_task(got_to_know()))
        return answered

    def judging_bound(self, critics: Sequence[Metered]) -> Callable[[Request], Amount]:
        """The most that judging the answer to a request can cost: critics read their examples and the answer."""
        settings = self._walk.study.synthesize.critic
        around = 2000 + len(settings.rubric.encode("utf-8", "replace"))  # the task, the schema, the frame

        def bound(request: Request) -> Amount:
            said = "".join([request.prompt, *(message.content for message in request.messages)])
            longest = len(said.encode("utf-8", "replace")) + BYTES_A_TOKEN * request.max_tokens + around
            asked = Request(prompt="x" * longest, max_tokens=settings.max_tokens, temperature=0.0)
            calls = sum(2 if question == "pairwise" else 1 for question in settings.questions)
            return reduce(Amount.plus, (critic.bound(asked) for critic in critics for _ in range(calls)), Amount())

        return bound

    def standing(self) -> Standing:
        """Where all models stand now, and the money."""
        return Standing(
            meters=tuple(each.meter() for each in self._speakers),
            spent_usd=self.purse.spent.usd,
            reserved_usd=self.purse.reserved.usd,
            cap_usd=self.purse.caps.usd,
        )

    async def close(self) -> None:
        """Let go of models, store and loans; what was received is on the disk afterwards."""
        try:
            for errand in self._errands:
                errand.cancel()
                await asyncio.wait({errand})
            for each in self._speakers:
                with suppress(ModelError):
                    await each.close()
            if self._account is not None:
                self._account.close(self.purse.spent.usd)
        finally:
            self.store.close()

    def _settings(self, place: str) -> Model:
        return next(model for model, named in speakers_of(self._walk) if named == place)

    def _spent(self, usage: Usage) -> None:
        self._walk.tell(Spent(usage=usage))

    def _paused(self, model: str, seconds: float, why: str) -> None:
        self._walk.tell(Paused(model=model, seconds=seconds, why=why))


class _Dearest:
    """The bound of a call: by its tokens where they have a price, else by the dearest call so far."""

    def __init__(self, prices: Tariff | None, in_process: bool) -> None:
        self._in_process, self._usd = in_process, Decimal(0)
        dearest_input = max(prices.input, prices.cached) if prices else Decimal(0)
        self._by_tokens = token_bound(dearest_input, prices.output if prices else Decimal(0))

    def seen(self, usd: Decimal | None, basis: UsageBasis) -> Price:
        if self._in_process and usd is not None:
            self._usd = max(self._usd, usd)
        return usd, basis

    def bound(self, request: Request) -> Amount:
        amount = self._by_tokens(request)
        return Amount(self._usd, amount.tokens, amount.requests) if self._in_process else amount


class _Facts:
    """What the store remembers of how servers are asked for JSON."""

    def __init__(self, store: Responses) -> None:
        self._store = store

    def known(self, speakers: Iterable[Metered]) -> dict[str, str]:
        facts = {each.name: self._store.fact(f"json form of {each.name}") for each in speakers}
        return {name: form for name, form in facts.items() if form is not None}

    def learned(self, name: str, form: str) -> None:
        self._store.learn(f"json form of {name}", form)


def make(walk: Walk, settings: Model, place: str) -> ChatModel:
    """The model that the settings name, as its plugin makes it. Raises ConfigError and ModelError."""
    path = walk.locate(settings.path) if settings.engine in IN_PROCESS else None
    plugin = find("models", settings.engine)
    if settings.ca_file:  # relative to the study file, as every path in it
        settings = settings.model_copy(update={"ca_file": str(walk.locate(settings.ca_file))})
    made: ChatModel = plugin(settings, path) if place == GENERATOR or path else plugin(settings, path, place=place)
    return made


def speakers_of(walk: Walk) -> list[tuple[Model, str]]:
    """The models that the loop will ask, and where their settings stand in the study."""
    return [(walk.study.synthesize.model, GENERATOR), *critics_of(walk)]


def critics_of(walk: Walk) -> list[tuple[Model, str]]:
    """The critic models among them."""
    settings = walk.study.synthesize.critic
    rest = [(model, f"synthesize.critic.panel.{number}") for number, model in enumerate(settings.panel)]
    return [*([(settings.model, CRITIC)] if settings.model else []), *rest]


def prices_of(walk: Walk, settings: Model, place: str) -> Known:
    """What is known of a model's prices: by the study, its price book, or the catalogue. Raises ConfigError."""
    cost, provider = walk.study.cost, "local"
    if settings.base_url:
        name = dialect_of(settings.base_url, settings.dialect).name
        provider = "local" if name in SELF_HOSTED else "" if name == "other" else name
    book = PriceBook.read(walk.locate(cost.prices)) if cost.prices else None
    catalogue = Catalogue() if cost.catalogue else None
    return known(settings, place, provider=provider, book=book, catalogue=catalogue, at=datetime.now(UTC))


def price_of(walk: Walk, settings: Model, place: str, found: Known) -> Callable[[Usage], Price]:
    """A function that says what a usage of a model costs, at the prices that were ``found``."""
    return pricer(
        settings,
        usd_per_core_hour=walk.study.cost.usd_per_core_hour,
        place=place,
        elsewhere=(found.tariff, found.basis),
    )


def used_up(events: Iterable[Event]) -> Amount:
    """What the loop's calls have used up so far, those of abandoned attempts included; replays cost nothing."""
    usd, tokens, requests = Decimal(0), 0, 0
    for event in events:
        if isinstance(event, Spent) and event.usage.stage in LOOP_STAGES and event.usage.basis is not UsageBasis.REPLAY:
            usage = event.usage
            usd += usage.usd or Decimal(0)
            tokens += usage.input_tokens + usage.output_tokens
            requests += usage.outcome not in UNCHARGED
    return Amount(usd, tokens, requests)


def _identity(walk: Walk, settings: Model, name: str) -> str:
    """What tells a speaker from any other: all that decides what it says, and nothing of its speed or cost."""
    weights = ""
    if settings.engine in IN_PROCESS:
        weights = f"{_weights(walk, settings.path)} in {settings.context_tokens}"  # where the context ends, so do words
    return content_id("speaker", name, weights, *settings.model_copy(update={"path": ""}).voice)


def _weights(walk: Walk, path: str) -> str:
    """What tells weights from others: their content, or the name and version under which it is pinned."""
    if not path.startswith(PREFIX):
        return walk.fingerprint(path)
    artifact = pinned().get(path.removeprefix(PREFIX).partition("/")[0])
    return f"{path} {artifact.version if artifact else ''}"
