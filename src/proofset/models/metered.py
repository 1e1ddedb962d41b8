"""Round any model: the store first, then a reservation, a permit, one attempt, the books; and again where it failed.

The order is the promise. What was answered before is never asked again. Nothing is sent that the budget could not pay
at its worst. A permit is held while a call is in flight and at no other time: what waits to be tried again keeps no
place, and then goes before new work, since older briefs wait for it. Every attempt is booked, whatever became of it,
and an answer is kept before anybody uses it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from hashlib import blake2b

from pydantic import ConfigDict, TypeAdapter
from pydantic_core import PydanticSerializationError, to_json

from proofset.errors import ModelError, ModelRefused, ModelUnavailable, ReplyUnreadable
from proofset.models.admission import Admission, Permit
from proofset.models.books import Books, Bound, Kept, Store, text_bytes
from proofset.models.breaker import Breaker
from proofset.models.purse import NOTHING, Amount, Purse
from proofset.nouns.result import Meter, Usage, UsageBasis
from proofset.plugins import ChatModel, Reply, Request

TRIES = 8
"""Attempts at one request that a server may fail at before it is given up; being over its limits is no failure."""
UNREADABLE_TRIES = 4
"""Attempts at one request that may come back as something else: each of them is probably billed."""
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.25, 30.0
NOT_SENT, LEFT = "not sent", "left in a batch"
"""Outcomes of an attempt that nobody can charge for, and of one that is charged for when its answer is fetched."""
UNCHARGED = frozenset({NOT_SENT, LEFT})


@dataclass(kw_only=True, eq=False)
class Metered:
    """A ChatModel whose replies are stored, bounded, paced, tried again and booked."""

    model: ChatModel
    identity: str
    """Tells this model and its settings from any other: the part of a reply's key that is not in the request."""
    store: Store
    admission: Admission
    breaker: Breaker
    purse: Purse
    books: Books
    bound: Bound
    for_judging: Callable[[Request], Amount] | None = None
    """The most that judging a reply can cost; kept for its brief from the moment that the reply is asked for."""
    sleep: Callable[[float], object] = asyncio.sleep
    _under_way: dict[bytes, asyncio.Future[Reply]] = field(default_factory=dict)
    _calls: int = 0
    _tokens: int = 0
    _replays: int = 0
    _usd: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        self.name, self.parallel = self.model.name, self.model.parallel
        self._prefix = blake2b(self.identity.encode(), digest_size=32).digest()

    @property
    def json_form(self) -> str:
        """How the model is asked for JSON."""
        return str(getattr(self.model, "json_form", "prompted"))

    @json_form.setter
    def json_form(self, form: str) -> None:
        self.model.json_form = form  # type: ignore[attr-defined]

    @property
    def json_forms(self) -> tuple[str, ...]:
        """The ways of asking it for JSON that may work, the strictest first."""
        return tuple(getattr(self.model, "json_forms", ("json_schema", "json_object", "prompted")))

    async def reply(self, request: Request) -> Reply:
        """The reply: out of the store, from an equal request that is under way, or from the model.

        Raises BudgetSpent, ModelRefused, and what the last attempt failed of.
        """
        key = self.key(request)
        if (kept := self.store.get(key)) is not None and (replayed := self._replayed(key, request, kept)) is not None:
            return replayed
        if (sibling := self._under_way.get(key)) is not None:
            try:
                reply = await asyncio.shield(sibling)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if sibling.cancelled() and not (task and task.cancelling()):  # its caller went away, not ours
                    return await self.reply(request)
                raise
            return self._booked_replay(request, reply, reply.usage.usd)
        future = self._under_way[key] = asyncio.get_running_loop().create_future()
        try:
            reply = await self._asked(key, request)
        except BaseException as error:
            if isinstance(error, Exception):
                future.set_exception(error)
                future.exception()  # looked at: nobody else may be waiting for it
            else:
                future.cancel()
            raise
        else:
            future.set_result(reply)
            return reply
        finally:
            del self._under_way[key]

    def key(self, request: Request) -> bytes:
        """16 bytes that depend on everything that decides the reply, and on nothing else.

        Raises ModelRefused for a text that cannot be sent to anybody.
        """
        asked = (
            request.prompt, request.messages, request.max_tokens, request.temperature, request.top_p,
            request.top_k, request.min_p, request.seed, request.stop, request.n, request.schema,
            request.logprobs, request.reasoning, request.sample, self.json_form if request.schema else "",
        )  # fmt: skip
        try:
            return blake2b(to_json(asked), digest_size=16, key=self._prefix).digest()
        except PydanticSerializationError as error:
            refused = ModelRefused(
                f"{self.name}: cannot be asked: {error}", hint="half a surrogate pair stands in a text; clean the data"
            )
            refused.status = 400
            raise refused from error

    async def _asked(self, key: bytes, request: Request) -> Reply:
        try:
            return await self._tried(key, request)
        except BaseException:
            self.purse.let_go(request.purpose.brief_id)  # what was kept for another try
            raise

    async def _tried(self, key: bytes, request: Request) -> Reply:
        """Attempt after attempt, until one is answered or they have been enough."""
        failures = unreadable = refusals = 0
        while True:
            bound = self.bound(request)
            judging = NOTHING if self.for_judging is None else self.for_judging(request)
            await self.purse.reserve(bound, brief_id=request.purpose.brief_id, for_judging=judging)
            try:
                # What was tried before, others wait for in their turn; what is for no brief, all may wait for.
                urgent = failures + refusals > 0 or not request.purpose.brief_id
                permit = await self.admission.permit(bound.tokens, urgent=urgent)
            except BaseException:
                self.purse.settle(bound, NOTHING)
                raise
            try:
                return await self._attempt(key, request, bound, permit)
            except (ModelUnavailable, ReplyUnreadable) as error:
                overloaded = isinstance(error, ModelUnavailable) and error.overloaded
                refusals, failures = refusals + overloaded, failures + (not overloaded)
                unreadable += isinstance(error, ReplyUnreadable)
                if self.breaker.out_of_patience() or failures >= TRIES or unreadable >= UNREADABLE_TRIES:
                    raise
                pause = error.retry_after_s if isinstance(error, ModelUnavailable) else None
            if self.for_judging is not None:
                self.purse.let_go(request.purpose.brief_id)  # it is set aside anew, with the call
            # Where others are answered, the server is well: a failure of the one request is no reason to wait long.
            times = refusals + min(failures, self.admission.failed_in_a_row)
            await self.sleep(_backoff(times, pause))  # type: ignore[misc]

    async def _attempt(self, key: bytes, request: Request, bound: Amount, permit: Permit) -> Reply:
        """One call, with its permit and reservation given back whatever comes of it."""
        self.breaker.asked()
        began = time.perf_counter()
        try:
            reply = await self.model.reply(request)
        except BaseException as error:
            overloaded = isinstance(error, ModelUnavailable) and error.overloaded
            try:
                usage = self._failed(request, bound, error, time.perf_counter() - began)
            finally:
                if isinstance(error, ModelUnavailable) and (overloaded or error.timed_out):
                    self.admission.overloaded(permit, error.retry_after_s)
                else:
                    self.admission.failed(permit)
            if isinstance(error, ModelError) and not isinstance(error, ModelRefused) and not overloaded:
                self._consider(usage)
            raise
        try:
            usage = self._book(request, reply.usage, bound)
            self.store.put(key, self.name, reply.raw or _REPLY.dump_json([replace(reply, usage=usage)]), usage.usd)
        except BaseException:
            self.admission.failed(permit)
            raise
        tokens = usage.input_tokens + usage.output_tokens
        self.admission.succeeded(permit, tokens=tokens, pause_s=reply.pause_s)
        self.breaker.good()
        self._tokens += tokens
        return replace(reply, usage=usage)

    def _book(self, request: Request, usage: Usage, bound: Amount, *, failed: bool = False) -> Usage:
        """Price an attempt, settle its reservation, write it down.

        One that failed keeps what is left of its money: what was set aside for judging is not lost to a new generation.
        """
        purpose, used = request.purpose, bound
        keep_for = purpose.brief_id if failed and self.for_judging is None else ""
        try:
            usd, basis = self.books.price(usage)
            if failed and usd is not None:
                basis = UsageBasis.ESTIMATED
            used = Amount(
                usd or Decimal(0), usage.input_tokens + usage.output_tokens, int(usage.outcome not in UNCHARGED)
            )
        finally:
            self.purse.settle(bound, used, keep_for=keep_for)
        usage = replace(
            usage, stage=purpose.stage, slice=purpose.slice, brief_id=purpose.brief_id, usd=usd, basis=basis
        )
        self._calls += 1
        self._usd += used.usd
        self.books.spent(usage)
        return usage

    def _failed(self, request: Request, bound: Amount, error: BaseException, seconds: float) -> Usage:
        """Book an attempt that gave no reply; one whose fate nobody knows is booked at its worst."""
        usage = Usage(model=self.name, stage="", seconds=seconds, outcome=_outcome(error))
        if isinstance(error, asyncio.CancelledError) and getattr(self.model, "goes_on", False):
            usage = replace(usage, usd=Decimal(0), outcome=LEFT)
        elif usage.outcome == NOT_SENT or (isinstance(error, ModelError) and error.status is not None):
            usage = replace(usage, usd=Decimal(0))  # the server says no, or nothing, and does not charge for that
        else:
            usage = replace(usage, input_tokens=text_bytes(request) // 4, output_tokens=request.max_tokens * request.n)
        return self._book(request, usage, bound, failed=True)

    def _consider(self, usage: Usage) -> None:
        """Leave a server alone that only fails."""
        if (opened := self.breaker.bad(usage.usd or Decimal(0))) is not None:
            pause_s, why = opened
            self.admission.hold(pause_s)
            self.books.paused(self.name, pause_s, why)

    def _replayed(self, key: bytes, request: Request, kept: Kept) -> Reply | None:
        """A stored reply as today's reading has it; one that it cannot make sense of is asked for again."""
        reread = getattr(self.model, "reread", None)
        try:
            reply: Reply = reread(kept.body) if reread is not None else _REPLY.validate_json(kept.body)[0]
        except (ModelError, ValueError):
            self.store.forget(key)
            return None
        self.store.used(self.name, kept.usd or Decimal(0))
        return self._booked_replay(request, reply, kept.usd)

    def _booked_replay(self, request: Request, reply: Reply, paid: Decimal | None) -> Reply:
        purpose = request.purpose
        usage = replace(
            reply.usage, stage=purpose.stage, slice=purpose.slice, brief_id=purpose.brief_id, usd=Decimal(0),
            basis=UsageBasis.REPLAY, avoided_usd=paid, core_seconds=0.0, seconds=0.0,
        )  # fmt: skip
        self._replays += 1
        self.books.spent(usage)
        return replace(reply, usage=usage)

    def meter(self) -> Meter:
        """Where this model stands now."""
        return Meter(
            model=self.name,
            in_flight=self.admission.in_flight,
            limit=int(self.admission.limit),
            waiting=self.admission.waiting,
            paused_s=self.admission.paused_s,
            calls=self._calls,
            replays=self._replays,
            tokens=self._tokens,
            usd=self._usd,
        )

    async def close(self) -> None:
        """Let go of the model."""
        await self.model.close()


def _backoff(times: int, pause: float | None) -> float:
    """Full jitter (Brooker 2015). What the server asks for is waited for, and a little more: not all return at once."""
    ceiling = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(max(0, times - 1), 16))
    jitter = random.uniform(0, ceiling)  # noqa: S311 (jitter, not a secret)
    return jitter if pause is None else pause + 0.1 * jitter


def _outcome(error: BaseException) -> str:
    if isinstance(error, ModelError) and error.status is not None:
        return f"http {error.status}"
    if isinstance(error, ModelUnavailable):
        return NOT_SENT if error.unsent else "no answer"
    if isinstance(error, ReplyUnreadable):
        return "unreadable"
    return "cancelled" if isinstance(error, asyncio.CancelledError) else "failed"


_REPLY: TypeAdapter[list[Reply]] = TypeAdapter(list[Reply], config=ConfigDict(ser_json_inf_nan="strings"))
"""Of a list, because pydantic hands its settings down to standard dataclasses only from a container."""
