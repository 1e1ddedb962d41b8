"""Structured replies: ask for a shape in the strictest way the endpoint takes, and read what comes back.

Validate, coerce, repair, ask once more with the error; what is misshapen even then is refused with its text kept.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, Literal, TypeVar, cast

from pydantic import BaseModel, PydanticUserError, ValidationError
from pydantic_core import from_json

from proofset.errors import ConfigError, ModelError, ModelRefused
from proofset.models.repair import Coercion, json_in
from proofset.models.schemas import Node, strict_ready, validator_of
from proofset.nouns.record import Message
from proofset.plugins import ChatModel, Purpose, Reply, Request

T_co = TypeVar("T_co", covariant=True)
M = TypeVar("M", bound=BaseModel)

How = Literal["strict", "coerced", "repaired"]
Reason = Literal["not json", "wrong shape", "truncated", "withheld", "empty"]

FORMS = ("json_schema", "json_object", "prompted")
"""Ways to ask for JSON, the strictest first."""
_UNSUPPORTED = (400, 404, 422)
"""Statuses by which servers say that they do not take a field."""
_UNBOUNDED = re.compile(r"NaN|Inf|[eE]\+?\d{3}|\d{309}")
"""Where a number may hide that JSON has not or a float cannot hold; such texts take the careful way."""

WITH_SCHEMA = "Answer with JSON alone, and nothing before or after it, that satisfies this JSON Schema:\n"
"""Put before the schema where the server does not enforce it."""
AGAIN = "That answer cannot be used: {told}. Answer again, with the corrected JSON alone."
"""Put after a misshapen answer, once."""


@dataclass(frozen=True, slots=True)
class Shaped(Generic[T_co]):
    """A reply that has the shape."""

    value: T_co
    how: How
    """"strict" as it came, "coerced" with values bent to their types, "repaired" from a text that was not JSON."""
    reply: Reply | None = None
    """The reply it was read from; None where only a text was read."""
    asked: int = 0
    """Calls made for it, without the probe."""


@dataclass(frozen=True, slots=True)
class Misshapen:
    """A reply that has not the shape: a value with a reason, never an exception."""

    reason: Reason
    told: str
    """What is wrong, in words that the model is told too."""
    raw_text: str
    asked: int = 0
    """Calls made for it, without the probe."""


class Shape(Generic[T_co]):
    """What a reply must look like: its schema as text, and how a text is read as a value of it."""

    def __init__(self, source: Node, parse: Callable[[str], T_co], *, fill: bool) -> None:
        """Made by ``Shape.of`` and ``Shape.from_schema``."""
        self.schema_json = json.dumps(strict_ready(source), ensure_ascii=False, separators=(",", ":"))
        """JSON Schema in canonical text, as servers want it that enforce one."""
        self._source, self._parse, self._fill = source, parse, fill

    @classmethod
    def of(cls, model: type[M]) -> Shape[M]:
        """The shape of a pydantic model class; values are its instances. Raises ConfigError for types JSON has not."""
        try:
            source = model.model_json_schema()
        except PydanticUserError as error:
            raise ConfigError(
                f"{model.__name__} has no JSON Schema: {error}", hint="use types that JSON has"
            ) from error
        return Shape(source, partial(model.model_validate_json, strict=True), fill=False)

    @classmethod
    def from_schema(cls, schema: Node) -> Shape[Any]:
        """The shape of a JSON Schema; values are dicts, lists and scalars, with None for what is optional and missing.

        Raises ConfigError naming the keyword that cannot be checked.
        """
        return Shape(schema, validator_of(strict_ready(schema)).validate_json, fill=True)

    def read(self, text: str) -> Shaped[T_co] | Misshapen:
        """The value in a text, by the mildest means that gives one. Numbers of a ``number`` are floats, and finite."""
        if not _UNBOUNDED.search(text):
            try:
                return Shaped(self._parse(text), "strict")
            except ValueError:
                pass  # said below, after all means have failed
        if not text.strip():
            return Misshapen("empty", "it is empty", text)
        try:
            value = from_json(text, allow_inf_nan=False)
        except (TypeError, ValueError) as error:  # TypeError: half a surrogate pair
            return self._search(text, str(error))
        return self._fit(value, text)

    def _fit(self, value: Any, text: str, *, mended: bool = False) -> Shaped[T_co] | Misshapen:
        """A parsed value, bent to the schema where it does not fit as it is."""
        bent, cost = Coercion(self._source, self._fill).bend(value)
        how: How = "repaired" if mended else "coerced" if cost else "strict"
        try:
            return Shaped(self._parse(json.dumps(bent, allow_nan=False)), how)
        except ValueError as error:
            return Misshapen("wrong shape", _told(error), text)

    def _search(self, text: str, fault: str) -> Shaped[T_co] | Misshapen:
        """The one value of this shape in a text that is not JSON. Where there are several, none is the answer."""
        clean = text.encode("utf-8", "replace").decode()
        found: dict[str, Shaped[T_co] | Misshapen] = {}
        for mended in json_in(clean):
            try:
                found[mended] = self._fit(from_json(mended, allow_inf_nan=False), text, mended=True)
            except ValueError:
                continue  # brackets in prose
        good = [each for each in found.values() if isinstance(each, Shaped)]
        if any(each.value != good[0].value for each in good):
            return Misshapen("wrong shape", "there is more than one answer in it", text)
        if good:
            return good[0]
        return found[max(found, key=len)] if found else Misshapen("not json", f"it is not JSON: {fault}", text)


def _told(error: ValueError) -> str:
    """Faults in plain words, each with the place where it is."""
    if not isinstance(error, ValidationError):
        return str(error)
    faults = error.errors(include_url=False, include_context=False, include_input=False)[:5]
    return "; ".join(f"{'.'.join(map(str, each['loc'])) or 'the whole'}: {each['msg']}" for each in faults)


# --- asking --------------------------------------------------------------------------------------------------------


async def ask(
    model: ChatModel, request: Request, shape: Shape[T_co], *, ladder: Ladder, longest: int = 16_384
) -> Shaped[T_co] | Misshapen:
    """The model's reply in a shape, or why there is none. Raises the model's own errors.

    A misshapen reply is answered once with its fault; one that was cut off is asked for once more with twice the
    tokens, up to ``longest``. That makes three calls at most.
    """
    form = await ladder.form_of(model, request.purpose)
    request = _with_schema(request, shape.schema_json, form)
    spent: set[bool] = set()
    while True:
        reply = await model.reply(request)
        found = _judged(shape.read(reply.text), reply)
        asked = len(spent) + 1
        if isinstance(found, Shaped):
            return replace(found, reply=reply, asked=asked)
        cut = found.reason == "truncated"
        if cut in spent or found.reason == "withheld" or (cut and request.max_tokens >= longest):
            return replace(found, asked=asked)
        spent.add(cut)
        longer = replace(request, max_tokens=min(2 * request.max_tokens, longest))
        request = longer if cut else _with_fault(request, reply.text, found.told)


def _judged(found: Shaped[T_co] | Misshapen, reply: Reply) -> Shaped[T_co] | Misshapen:
    """What was read, in the light of why the reply ended."""
    if reply.finish == "content_filter":
        return Misshapen("withheld", "the provider withheld it", reply.text)
    if reply.finish == "length" and (isinstance(found, Misshapen) or found.how == "repaired"):
        # Whole JSON at the limit is whole; brackets that we would have to close are not.
        return Misshapen("truncated", f"it was cut off after {len(reply.text)} characters", reply.text)
    return found


def _with_schema(request: Request, schema: str, form: str) -> Request:
    """The request with the schema for the server, and in words where the server does not enforce it."""
    request = replace(request, schema=schema)
    if form == "json_schema":
        return request
    told = WITH_SCHEMA + schema
    if not request.messages:
        return replace(request, prompt=f"{request.prompt}\n\n{told}\nJSON:\n")
    turns = list(request.messages)
    # With the system prompt it is part of what requests share, and may be cached.
    at = 0 if turns[0].role == "system" else len(turns) - 1
    if turns[at].role == "assistant":
        return replace(request, messages=(*turns, Message("user", told)))
    turns[at] = Message(turns[at].role, f"{turns[at].content}\n\n{told}")
    return replace(request, messages=tuple(turns))


def _with_fault(request: Request, answer: str, told: str) -> Request:
    """The request once more, after the answer and what is wrong with it."""
    fault = AGAIN.format(told=told)
    if not request.messages:
        return replace(request, prompt=f"{request.prompt}{answer}\n\n{fault}\nJSON:\n")
    said = (Message("assistant", answer),) if answer.strip() else ()  # some servers refuse an empty turn
    return replace(request, messages=(*request.messages, *said, Message("user", fault)))


# --- ladder --------------------------------------------------------------------------------------------------------

_PROBED = Shape.from_schema(
    {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"], "additionalProperties": False}
)


class Ladder:
    """How each endpoint is asked for JSON: the first way that a probe found to work, remembered by the model's name."""

    def __init__(
        self, known: Mapping[str, str] | None = None, learned: Callable[[str, str], None] = lambda name, form: None
    ) -> None:
        """``known`` holds forms found earlier; ``learned(name, form)`` is told of each new one."""
        self._known = {name: form for name, form in (known or {}).items() if form in FORMS}
        self._learned = learned
        self._probes: dict[str, asyncio.Future[None]] = {}

    async def form_of(self, model: ChatModel, purpose: Purpose = Purpose()) -> str:  # noqa: B008  frozen
        """The form for a model, which is set as its ``json_form`` too. Raises what the model raises when probed.

        A model without that attribute is prompted; one that declares a form is believed; any other is probed once,
        whoever asks meanwhile.
        """
        while (probe := self._probes.get(model.name)) is not None:
            await asyncio.wait({probe})
            probe.result()  # raises what the prober met; if it was stopped, one of those who waited takes its place
        declared = getattr(model, "json_form", None)
        if declared is None or declared in FORMS:
            return declared or "prompted"
        if model.name not in self._known:
            await self._lead(model, replace(purpose, slice="", brief_id=""))
        _set_form(model, self._known[model.name])
        return self._known[model.name]

    async def _lead(self, model: ChatModel, purpose: Purpose) -> None:
        """Probe for all who wait."""
        probe = self._probes[model.name] = asyncio.get_running_loop().create_future()
        try:
            self._known[model.name] = await _climb_down(model, purpose)
        except ModelError as error:
            probe.set_exception(error)
            probe.exception()  # taken note of, even if nobody waits
            raise
        finally:
            del self._probes[model.name]
            if not probe.done():
                probe.set_result(None)
            if model.name not in self._known:
                _set_form(model, "")
        self._learned(model.name, self._known[model.name])


async def _climb_down(model: ChatModel, purpose: Purpose) -> str:
    """The first form that works. A server that refused even the last but one must take a plain question."""
    refused = False
    for form in getattr(model, "json_forms", FORMS):
        if form == "prompted" and not refused:
            break
        _set_form(model, form)
        try:
            reply = await model.reply(_probe(form, purpose))
        except ModelRefused as error:
            if form == "prompted" or error.status not in _UNSUPPORTED:
                raise
            refused = True
            continue
        refused = False
        if form == "prompted" or getattr(_PROBED.read(reply.text), "how", "") == "strict":
            return str(form)
    return "prompted"


def _probe(form: str, purpose: Purpose) -> Request:
    """A question that has JSON for an answer only if the server, or the words, see to it.

    Temperature 1, because some reasoning models refuse all others; room for those that think before they add.
    """
    asked = Request(
        messages=(Message("user", "How much is three plus four?"),), max_tokens=1024, temperature=1.0, purpose=purpose
    )
    return _with_schema(asked, _PROBED.schema_json, form)


def _set_form(model: ChatModel, form: str) -> None:
    cast(Any, model).json_form = form
