"""A span is read however it is written, a wrong clock cannot make it long, and nothing a server says can break it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proofset.models.pauses import LONGEST_ASKED_PAUSE_S, asked_pause, spent_window

OPENAI = ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests")
TOKENS = ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens")
ANTHROPIC = ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset")
TOLD = st.text(max_size=40) | st.text(alphabet="0123456789.smhd-:TZ+ ,GMTOctWed²٣", max_size=40)


def in_(seconds: float, *, zone: bool = True) -> datetime:
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return moment if zone else moment.replace(tzinfo=None)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("0", 0), ("7", 7), ("1.5", 1.5), (" 2 ", 2), ("20ms", 0.02), ("1s", 1), ("6m0s", 360), ("2m59.56s", 179.56),
        ("1h2m3s", 3600), ("1m", 60), ("0s", 0), ("86400", LONGEST_ASKED_PAUSE_S), ("2d", LONGEST_ASKED_PAUSE_S),
        ("inf", LONGEST_ASKED_PAUSE_S), ("-3", 0), ("9" * 400, LONGEST_ASKED_PAUSE_S),
        ("9" * 400 + "s", LONGEST_ASKED_PAUSE_S), ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("2015-10-21T07:28:00Z", 0),
        ("2999-01-01T00:00:00Z", LONGEST_ASKED_PAUSE_S), ("Tue, 01 Jan 2999 00:00:00 GMT", LONGEST_ASKED_PAUSE_S),
    ],
)  # fmt: skip
def test_spans_as_servers_write_them(told: str, seconds: float) -> None:
    assert asked_pause({"Retry-After": told}) == pytest.approx(seconds, abs=1e-9)


@pytest.mark.parametrize("told", ["", " ", ".", "²", "soon", "5 parsecs", "nan", "1.2.3s", "s", "ms", "1e", "tomorrow"])
def test_what_is_no_span_is_no_wish(told: str) -> None:
    assert asked_pause({"Retry-After": told}) is None


@pytest.mark.parametrize("write", [datetime.isoformat, format_datetime, lambda m: format_datetime(m, usegmt=True)])
def test_moments_are_told_from_now(write: object) -> None:
    assert callable(write)
    pause = asked_pause({"Retry-After": write(in_(90))})
    assert pause == pytest.approx(90, abs=2)


@pytest.mark.parametrize("scale", [1, 1000])
def test_the_seconds_since_1970_are_a_moment_too(scale: int) -> None:
    told = str(int(in_(90).timestamp() * scale))
    assert asked_pause({"Retry-After": told}) == pytest.approx(90, abs=2)
    assert spent_window({OPENAI[0]: "0", OPENAI[1]: told}) == pytest.approx(90, abs=2)


def test_a_moment_without_a_zone_is_meant_for_all() -> None:
    assert asked_pause({"Retry-After": in_(90, zone=False).isoformat()}) == pytest.approx(90, abs=2)


def test_thousandths_win_and_give_way_when_they_are_nonsense() -> None:
    assert asked_pause({}) is None
    assert asked_pause({"retry-after-ms": "1500", "Retry-After": "9"}) == 1.5
    assert asked_pause({"retry-after-ms": "1500.5"}) == pytest.approx(1.5005)
    assert asked_pause({"retry-after-ms": "soon", "Retry-After": "9"}) == 9
    assert asked_pause({"retry-after-ms": "soon"}) is None


@pytest.mark.parametrize(("left", "reset"), [OPENAI, TOKENS, ANTHROPIC])
def test_a_window_that_is_spent(left: str, reset: str) -> None:
    assert spent_window({left: "0", reset: "12s"}) == 12
    assert spent_window({left: "0.0", reset: "12s"}) == 12
    assert spent_window({left: "1", reset: "12s"}) == 0
    assert spent_window({left: "0"}) == spent_window({left: "0", reset: "?"}) == spent_window({reset: "12s"}) == 0
    assert spent_window({left: "0", reset: in_(30).isoformat()}) == pytest.approx(30, abs=2)


def test_of_several_spent_windows_the_longest_counts() -> None:
    both = {OPENAI[0]: "0", OPENAI[1]: "1s", TOKENS[0]: "0", TOKENS[1]: "40s"}
    assert spent_window(both) == 40
    assert spent_window({**both, TOKENS[0]: "7"}) == 1
    assert spent_window({}) == 0


@given(told=TOLD)
@example(told="Mon, 01 Jan 99999 00:00:00 GMT")
@example(told="Mon, 01 Jan 2026 00:00:00 +9999999999")
@example(told="0001-01-01T00:00:00+23:59")
@example(told="9" * 30 + " Jan 2026 00:00:00")
def test_whatever_a_server_says_is_a_bounded_span_or_none(told: str) -> None:
    for pause in (
        asked_pause({"Retry-After": told}),
        asked_pause({"retry-after-ms": told}),
        spent_window({OPENAI[0]: "0", OPENAI[1]: told}),
    ):
        assert pause is None or 0 <= pause <= LONGEST_ASKED_PAUSE_S
