"""A shape is read by the mildest means, asked for in the strictest way, and refused with its text and a reason."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from proofset.errors import ConfigError, ModelError, ModelRefused, ModelUnavailable
from proofset.models.scripted import ScriptedChat
from proofset.models.structured import AGAIN, FORMS, WITH_SCHEMA, Ladder, Misshapen, Shape, Shaped, ask
from proofset.nouns.record import Message
from proofset.nouns.result import Usage
from proofset.plugins import Purpose, Reply, Request


class Opinion(BaseModel):
    label: Literal["Spam", "Ham"]
    score: float
    votes: int
    sure: bool = False
    reasons: list[str] = []
    note: str | None = None


OPINION = Shape.of(Opinion)
PLAIN = Shape.from_schema(
    {
        "type": "object",
        "properties": {
            "label": {"enum": ["Spam", "Ham"]},
            "score": {"type": "number"},
            "votes": {"type": "integer"},
            "reasons": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["label", "score", "votes"],
    }
)
GOOD = {"label": "Spam", "score": 9, "votes": 3, "reasons": ["a"]}
GOOD_TEXT = json.dumps(GOOD)
ASKED = Request(messages=(Message("user", "Spam?"),), max_tokens=100, temperature=0.5, seed=4, sample=2)


class Server:
    """A model with a ``json_form``, whose answers are given by the form it is asked in, or one after another."""

    parallel = 4

    def __init__(
        self, *answers: str | ModelError | tuple[str, str], form: str | None = "", name: str = "server"
    ) -> None:
        self.name = name
        if form is not None:
            self.json_form = form
        self.answers = list(answers)
        self.requests: list[Request] = []
        self.forms: list[str] = []
        self.pause: Callable[[], Any] = lambda: asyncio.sleep(0)

    async def reply(self, request: Request) -> Reply:
        self.requests.append(request)
        self.forms.append(getattr(self, "json_form", "none"))
        await self.pause()
        answer = self.answers.pop(0)
        if isinstance(answer, ModelError):
            raise answer
        text, finish = answer if isinstance(answer, tuple) else (answer, "stop")
        return Reply(text=text, finish=finish, usage=Usage(model=self.name, stage=""))

    async def close(self) -> None:
        pass


def refused(status: int) -> ModelRefused:
    error = ModelRefused(f"HTTP {status}: no")
    error.status = status
    return error


def asked(server: Any, request: Request = ASKED, shape: Shape[Any] = OPINION, **more: Any) -> Shaped[Any] | Misshapen:
    return asyncio.run(ask(server, request, shape, ladder=Ladder(), **more))


# --- reading -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "how"),
    [
        (GOOD_TEXT, "strict"),
        (f"\n {GOOD_TEXT} \n", "strict"),
        (GOOD_TEXT.replace("9", "9.0"), "strict"),
        (GOOD_TEXT.replace("9", '"9"'), "coerced"),
        (GOOD_TEXT.replace("3", "3.0"), "coerced"),
        (GOOD_TEXT.replace("Spam", "spam "), "coerced"),
        (GOOD_TEXT.replace('["a"]', '"a"'), "coerced"),
        (f"Here you are:\n```json\n{GOOD_TEXT}\n```", "repaired"),
        (GOOD_TEXT.replace('["a"]', '["a",],'), "repaired"),
        (GOOD_TEXT.removesuffix("]}"), "repaired"),
        (str(GOOD), "repaired"),
        (f"{GOOD_TEXT}\nor, put otherwise, {GOOD}", "repaired"),
    ],
)
def test_a_text_is_read_by_the_mildest_means(text: str, how: str) -> None:
    found, plain = OPINION.read(text), PLAIN.read(text)
    assert isinstance(found, Shaped), found
    assert (found.value, found.how, found.reply) == (Opinion(**GOOD), how, None)
    assert isinstance(plain, Shaped), plain
    assert (plain.value, plain.how) == (GOOD, how)
    assert type(found.value.score) is type(plain.value["score"]) is float
    assert type(found.value.votes) is type(plain.value["votes"]) is int


@pytest.mark.parametrize(
    ("text", "reason", "told"),
    [
        ("", "empty", "empty"),
        (" \n", "empty", "empty"),
        ("I would rather not.", "not json", "not JSON"),
        ('{"label": "Spam", "score": 9, "votes": 3, "reasons": ["cut o', "not json", "not JSON"),
        ('{"label": "Spam", "score": 9}', "wrong shape", "votes: Field required"),
        ('Sure: {"label": "Spam", "score": 9}!', "wrong shape", "votes: Field required"),
        (GOOD_TEXT.replace("Spam", "Eggs"), "wrong shape", "label: "),
        (GOOD_TEXT.replace("3", "3.5"), "wrong shape", "votes: "),
        (GOOD_TEXT.replace("3", "true"), "wrong shape", "votes: "),
        (GOOD_TEXT.replace("9", "1e999"), "wrong shape", "float"),
        (GOOD_TEXT.replace("9", "NaN"), "not json", "not JSON"),
        (GOOD_TEXT.replace("9", '"Infinity"'), "wrong shape", "score: "),
        ("3", "wrong shape", "the whole: "),
        (f"{GOOD_TEXT} or {GOOD_TEXT.replace('Spam', 'Ham')}", "wrong shape", "more than one answer"),
        ("\ud800" + GOOD_TEXT[:9], "not json", "not JSON"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_text(text: str, reason: str, told: str) -> None:
    for shape in (OPINION, PLAIN):
        found = shape.read(text)
        assert isinstance(found, Misshapen), found
        assert (found.reason, found.raw_text, found.asked) == (reason, text, 0)
        assert told in found.told or (told == "votes: Field required" and "votes: " in found.told), found.told


def test_what_is_optional_and_missing_is_the_default_of_a_class_and_none_of_a_schema() -> None:
    text = '{"label": "Ham", "score": 1.5, "votes": 0, "sure": null, "note": null}'
    found = OPINION.read(text)
    assert isinstance(found, Shaped)
    assert (found.value.sure, found.value.note, found.value.reasons, found.how) == (False, None, [], "coerced")
    plain = PLAIN.read('{"label": "Ham", "score": 1, "votes": 0, "said": "unasked"}')
    assert plain == Shaped({"label": "Ham", "score": 1.0, "votes": 0, "reasons": None}, "coerced")


def test_the_schema_is_canonical_strict_and_in_the_order_of_its_properties() -> None:
    schema = json.loads(OPINION.schema_json)
    assert list(schema["properties"]) == schema["required"] == list(Opinion.model_fields)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["sure"] == {"type": ["boolean", "null"]}
    source = {"type": "object", "properties": {"b": {"type": "string", "title": "é"}}, "required": ["b"]}
    assert Shape.from_schema(source).schema_json == Shape.from_schema(dict(reversed(source.items()))).schema_json
    assert PLAIN.schema_json == Shape.from_schema(json.loads(PLAIN.schema_json)).schema_json


def test_types_that_json_has_not_are_refused() -> None:
    class Odd(BaseModel):
        call: Callable[[int], int]

    with pytest.raises(ConfigError, match="Odd"):
        Shape.of(Odd)


def test_a_class_keeps_its_own_types_and_checks() -> None:
    class Entry(BaseModel):
        day: date
        names: tuple[str, ...] = Field(min_length=1)
        inner: Opinion | None = None

    found = Shape.of(Entry).read('{"day": "2024-02-29", "names": "a", "inner": ' + GOOD_TEXT.replace("3", '"3"') + "}")
    assert isinstance(found, Shaped)
    assert found.value == Entry(day=date(2024, 2, 29), names=("a",), inner=Opinion(**GOOD))
    assert isinstance(Shape.of(Entry).read('{"day": "2023-02-29", "names": ["a"]}'), Misshapen)
    assert isinstance(Shape.of(Entry).read('{"day": "2024-02-29", "names": []}'), Misshapen)


words = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
whole = st.integers(-(2**53) + 1, 2**53 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "words": {"type": "string"},
        "count": {"type": "integer"},
        "share": {"type": "number"},
        "flags": {"type": "array", "items": {"type": ["boolean", "null"]}},
        "more": {"type": "array", "items": {"$ref": "#/$defs/Pair"}},
    },
    "required": ["words", "count", "share", "flags", "more"],
    "$defs": {
        "Pair": {
            "type": "object",
            "properties": {"k": {"enum": ["x", "X", 1]}, "v": {"type": "string"}},
            "required": ["k", "v"],
        }
    },
}
WHOLE = Shape.from_schema(SCHEMA)
values = st.fixed_dictionaries(
    {
        "words": words,
        "count": whole,
        "share": floats | whole,
        "flags": st.lists(st.booleans() | st.none(), max_size=3),
        "more": st.lists(st.fixed_dictionaries({"k": st.sampled_from(["x", "X", 1]), "v": words}), max_size=3),
    }
)
prose = st.text(st.characters(codec="utf-8", exclude_characters="[]{}`"), max_size=30).filter(
    lambda t: "think>" not in t
)


@given(values, prose, prose, st.booleans(), st.booleans(), st.booleans())
def test_whatever_is_wrapped_round_a_value_it_is_read_back_equal(
    value: dict[str, Any], before: str, after: str, fence: bool, comma: bool, ascii_only: bool
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=1)
    plain = WHOLE.read(text)
    assert plain == Shaped(value, "strict")
    if comma:
        text = text[:-1].rstrip() + ",\n}"
    if fence:
        text = f"```json\n{text}\n```"
    found = WHOLE.read(f"{before}{text}{after}")
    assert isinstance(found, Shaped), found
    assert found.value == value
    assert type(found.value["share"]) is float


@given(values)
def test_what_python_prints_is_read_back_equal(value: dict[str, Any]) -> None:
    value = {**value, "words": value["words"].replace("'", "").replace("\\", ""), "more": []}
    found = WHOLE.read(repr({**value, "words": "@"}).replace("'@'", f"'{value['words']}'"))
    assert isinstance(found, Shaped), found
    assert found.value == value


MARKS = ["{", "}", "[", "]", ",", ":", '"', "'", "\\", "\n", "```", "true", "None", "9", "-1.5", "NaN", "1e999", " "]
PARTS = ['"label"', '"score"', '"votes"', '"Spam"', "'ham'", '"3"', GOOD_TEXT, GOOD_TEXT[:-1], "\ud83d", "\\ud83d"]
crumbs = st.lists(st.sampled_from(MARKS + PARTS), max_size=24).map("".join)


@given(st.text() | crumbs)
def test_no_text_raises_and_no_value_is_without_the_shape(text: str) -> None:
    for shape in (OPINION, PLAIN):
        found = shape.read(text)
        if isinstance(found, Misshapen):
            assert found.raw_text == text
            assert found.told
            assert found.reason in ("not json", "wrong shape", "empty")
        else:
            value = found.value.model_dump() if isinstance(found.value, Opinion) else found.value
            Opinion.model_validate({k: v for k, v in value.items() if v is not None}, strict=True)
            json.dumps(value, allow_nan=False)
            for name in ("label", "score", "votes"):  # never made up
                assert f'"{name}"' in text or f"'{name}'" in text


# --- asking --------------------------------------------------------------------------------------------------------


def test_a_good_reply_costs_one_call_and_carries_the_schema() -> None:
    server = Server(GOOD_TEXT, form="json_schema")
    found = asked(server)
    assert isinstance(found, Shaped)
    assert (found.value, found.how, found.asked) == (Opinion(**GOOD), "strict", 1)
    assert found.reply is not None
    assert found.reply.text == GOOD_TEXT
    assert server.requests == [replace(ASKED, schema=OPINION.schema_json)]


@pytest.mark.parametrize("form", ["json_object", "prompted", None])
def test_where_no_server_enforces_the_schema_it_is_in_the_words(form: str | None) -> None:
    told = WITH_SCHEMA + OPINION.schema_json
    system, user, said = Message("system", "Judge."), Message("user", "Spam?"), Message("assistant", "Yes")
    expected = [
        ((user,), (Message("user", f"Spam?\n\n{told}"),)),
        ((system, user), (Message("system", f"Judge.\n\n{told}"), user)),
        ((user, said), (user, said, Message("user", told))),
    ]
    for messages, sent in expected:
        server = Server(GOOD_TEXT, form=form)
        assert isinstance(asked(server, replace(ASKED, messages=messages)), Shaped)
        assert server.requests == [replace(ASKED, messages=sent, schema=OPINION.schema_json)]


def test_a_prompt_is_continued_with_the_json() -> None:
    server = Server("No.", GOOD_TEXT, form=None)
    found = asked(server, replace(ASKED, messages=(), prompt="Spam?"))
    assert isinstance(found, Shaped)
    first, second = (request.prompt for request in server.requests)
    assert first == f"Spam?\n\n{WITH_SCHEMA}{OPINION.schema_json}\nJSON:\n"
    assert second.startswith(first + "No.\n\n")
    assert second.endswith("with the corrected JSON alone.\nJSON:\n")


def test_a_misshapen_reply_is_shown_its_fault_once() -> None:
    bad = GOOD_TEXT.replace("3", "3.5")
    server = Server(bad, GOOD_TEXT, form="json_schema")
    found = asked(server)
    assert isinstance(found, Shaped)
    assert found.asked == 2
    fault = OPINION.read(bad)
    assert isinstance(fault, Misshapen)
    first, second = server.requests
    assert second.messages == (
        *first.messages,
        Message("assistant", bad),
        Message("user", AGAIN.format(told=fault.told)),
    )
    assert "votes" in second.messages[-1].content
    assert replace(second, messages=first.messages) == first  # the sample too, so that a stored reply is found again


def test_after_the_second_fault_the_text_is_kept_and_nobody_is_asked() -> None:
    server = Server("No.", "Never.", GOOD_TEXT, form="json_schema")
    found = asked(server)
    assert isinstance(found, Misshapen)
    assert (found.reason, found.raw_text, found.asked) == ("not json", "Never.", 2)
    assert len(server.requests) == 2


def test_an_empty_answer_is_not_sent_back() -> None:
    server = Server("", "", form="json_schema")
    found = asked(server)
    assert isinstance(found, Misshapen)
    assert (found.reason, found.asked) == ("empty", 2)
    assert [turn.role for turn in server.requests[1].messages] == ["user", "user"]


def test_a_cut_reply_gets_twice_the_tokens_once() -> None:
    cut = (GOOD_TEXT[:-3], "length")
    server = Server(cut, GOOD_TEXT, form="json_schema")
    found = asked(server)
    assert isinstance(found, Shaped)
    assert found.asked == 2
    first, second = server.requests
    assert second == replace(first, max_tokens=200)

    server = Server(cut, cut, GOOD_TEXT, form="json_schema")
    found = asked(server)
    assert isinstance(found, Misshapen)
    assert (found.reason, found.raw_text, found.asked) == ("truncated", GOOD_TEXT[:-3], 2)
    assert len(server.requests) == 2


@pytest.mark.parametrize(("longest", "tokens"), [(150, [100, 150]), (100, [100]), (50, [100])])
def test_the_tokens_have_a_limit(longest: int, tokens: list[int]) -> None:
    server = Server(("{", "length"), ("{", "length"), form="json_schema")
    found = asked(server, longest=longest)
    assert isinstance(found, Misshapen)
    assert (found.reason, found.asked) == ("truncated", len(tokens))
    assert [request.max_tokens for request in server.requests] == tokens


def test_brackets_of_a_cut_reply_are_not_closed_but_whole_json_is_whole() -> None:
    assert isinstance(OPINION.read(GOOD_TEXT[:-2]), Shaped)
    found = asked(Server((GOOD_TEXT[:-2], "length"), (GOOD_TEXT[:-2], "length"), form="json_schema"))
    assert isinstance(found, Misshapen)
    found = asked(Server((GOOD_TEXT + "\n" * 90, "length"), form="json_schema"))
    assert isinstance(found, Shaped)
    assert found.asked == 1


@pytest.mark.parametrize("cut_first", [True, False])
def test_both_budgets_make_three_calls_and_no_more(cut_first: bool) -> None:
    cut, bad = ("{", "length"), ("No.", "stop")
    server = Server(*([cut, bad] if cut_first else [bad, cut]), GOOD_TEXT, form="json_schema")
    found = asked(server)
    assert isinstance(found, Shaped)
    assert found.asked == 3
    assert server.requests[2].max_tokens == 200
    assert len(server.requests[2].messages) == 3
    for last in (cut, bad):
        server = Server(*([cut, bad] if cut_first else [bad, cut]), last, GOOD_TEXT, form="json_schema")
        found = asked(server)
        assert isinstance(found, Misshapen)
        assert (found.reason, found.asked) == ("truncated" if last is cut else "not json", 3)


def test_a_withheld_reply_is_not_asked_for_again() -> None:
    for text in ("", "I can", GOOD_TEXT):
        server = Server((text, "content_filter"), GOOD_TEXT, form="json_schema")
        found = asked(server)
        assert isinstance(found, Misshapen)
        assert (found.reason, found.raw_text, found.asked) == ("withheld", text, 1)
        assert len(server.requests) == 1


def test_the_errors_of_a_model_pass_through() -> None:
    for error in (ModelUnavailable("gone"), refused(400)):
        with pytest.raises(type(error)):
            asked(Server(error, form="json_schema"))


def test_the_scripted_model_is_prompted() -> None:
    model = ScriptedChat(lambda request: GOOD_TEXT)
    found = asked(model)
    assert isinstance(found, Shaped)
    assert [request.messages[0].content.endswith(OPINION.schema_json) for request in model.requests] == [True]


# --- ladder --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "form", "tried"),
    [
        (['{"sum": 7}'], "json_schema", ["json_schema"]),
        (["7", '{"sum": 7}'], "json_object", ["json_schema", "json_object"]),
        (["Seven.", '```json\n{"sum": 7}\n```'], "prompted", ["json_schema", "json_object"]),
        ([('{"sum":', "length"), '{"sum": "7"}'], "prompted", ["json_schema", "json_object"]),
        ([refused(400), '{"sum": 7}'], "json_object", ["json_schema", "json_object"]),
        ([refused(404), refused(422), "7"], "prompted", list(FORMS)),
        ([refused(422), "Seven."], "prompted", ["json_schema", "json_object"]),
    ],
)
def test_the_ladder_is_climbed_down_to_what_works(answers: list[Any], form: str, tried: list[str]) -> None:
    server, learned = Server(*answers), dict[str, str]()
    ladder = Ladder(learned=learned.__setitem__)
    assert asyncio.run(ladder.form_of(server, Purpose("synthesize", "s", "b"))) == form
    assert server.forms == tried
    assert server.json_form == form
    assert learned == {"server": form}
    assert {request.purpose for request in server.requests} == {Purpose("synthesize")}
    assert asyncio.run(ladder.form_of(server)) == form  # remembered, in another event loop too
    assert asyncio.run(Ladder(learned).form_of(other := Server())) == form == other.json_form
    assert len(server.requests) == len(tried)


def test_the_question_of_the_probe_tells_its_schema_only_where_nobody_enforces_it() -> None:
    server = Server("7", "7")
    asyncio.run(Ladder().form_of(server))
    native, worded = (request.messages[0].content for request in server.requests)
    assert "sum" not in native
    assert WITH_SCHEMA in worded
    assert all('"sum"' in request.schema for request in server.requests)


def test_only_the_rungs_that_a_model_has_are_tried() -> None:
    server = Server('{"sum": 7}')
    server.json_forms = ("json_object", "prompted")  # type: ignore[attr-defined]
    assert asyncio.run(Ladder().form_of(server)) == "json_object"
    server = Server()
    server.json_forms = ("prompted",)  # type: ignore[attr-defined]
    assert asyncio.run(Ladder().form_of(server)) == "prompted"


def test_what_is_declared_or_known_is_not_probed() -> None:
    for form in FORMS:
        assert asyncio.run(Ladder().form_of(Server(form=form))) == form
    assert asyncio.run(Ladder({"server": "json_object"}).form_of(Server(form=None))) == "prompted"
    assert asyncio.run(Ladder({"server": "a newer form"}).form_of(server := Server('{"sum": 7}'))) == "json_schema"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "error", [ModelUnavailable("gone"), refused(401), refused(403), refused(402), ModelRefused("no status")]
)
def test_what_says_nothing_about_forms_passes_through_and_is_not_remembered(error: ModelError) -> None:
    learned: dict[str, str] = {}
    ladder, server = Ladder(learned=learned.__setitem__), Server(error, '{"sum": 7}')
    with pytest.raises(type(error)):
        asyncio.run(ladder.form_of(server))
    assert (server.json_form, learned) == ("", {})
    assert asyncio.run(ladder.form_of(server)) == "json_schema"


def test_a_server_that_refuses_even_plain_questions_has_no_form() -> None:
    ladder, server = Ladder(), Server(refused(404), refused(404), refused(404))
    with pytest.raises(ModelRefused):
        asyncio.run(ladder.form_of(server))
    assert server.json_form == ""


def test_callers_at_once_share_one_probe() -> None:
    async def work(server: Server) -> list[Any]:
        ladder = Ladder()
        tasks = [ask(server, replace(ASKED, sample=n), OPINION, ladder=ladder) for n in range(20)]
        return await asyncio.gather(*tasks, return_exceptions=True)

    server = Server('{"sum": 7}', *[GOOD_TEXT] * 20)
    found = asyncio.run(work(server))
    assert all(isinstance(each, Shaped) and each.asked == 1 for each in found)
    assert len(server.requests) == 21
    assert set(server.forms) == {"json_schema"}

    server = Server(ModelUnavailable("gone"))
    assert [type(each) for each in asyncio.run(work(server))] == [ModelUnavailable] * 20
    assert len(server.requests) == 1


def test_a_failed_probe_that_nobody_waited_for_leaves_no_complaint() -> None:
    complaints: list[Any] = []

    async def work() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        with pytest.raises(ModelUnavailable):
            await Ladder().form_of(Server(ModelUnavailable("gone")))
        gc.collect()

    asyncio.run(work())
    assert complaints == []


def test_endpoints_have_probes_of_their_own() -> None:
    async def work(*servers: Server) -> list[str]:
        ladder = Ladder()
        return list(await asyncio.gather(*(ladder.form_of(each) for each in servers)))

    assert asyncio.run(work(Server('{"sum": 7}', name="a"), Server("7", "7", name="b"))) == ["json_schema", "prompted"]


def test_when_the_prober_is_stopped_one_of_those_who_wait_takes_over() -> None:
    async def work() -> tuple[list[str], int]:
        server, ladder = Server('{"sum": 7}'), Ladder()
        begun, never = asyncio.Event(), asyncio.Event()

        async def hang() -> None:
            begun.set()
            await never.wait()

        server.pause = hang
        first = asyncio.create_task(ladder.form_of(server))
        await begun.wait()
        rest = [asyncio.create_task(ladder.form_of(server)) for _ in range(3)]
        await asyncio.sleep(0)
        server.pause = lambda: asyncio.sleep(0)
        first.cancel()
        return list(await asyncio.gather(*rest)), len(server.requests)

    assert asyncio.run(work()) == (["json_schema"] * 3, 2)
