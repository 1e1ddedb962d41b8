"""One way of counting whatever the provider's habit; and which server takes what."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.errors import ConfigError
from proofset.models.dialects import DIALECTS, MOST_TOKENS, Counted, counted, dialect_of

# ── usage ───────────────────────────────────────────────────────────────────────────────────────────────────────────

HABITS: dict[str, tuple[dict[str, Any], Counted]] = {
    "openai": (
        {
            "prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 40},
        },
        Counted(input=100, cached=64, output=50, reasoning=40),
    ),
    "openai responses": (
        {
            "input_tokens": 100, "output_tokens": 50, "input_tokens_details": {"cached_tokens": 64},
            "output_tokens_details": {"reasoning_tokens": 40},
        },
        Counted(input=100, cached=64, output=50, reasoning=40),
    ),
    "anthropic, apart": (
        {"input_tokens": 10, "cache_read_input_tokens": 70, "cache_creation_input_tokens": 20, "output_tokens": 5},
        Counted(input=100, cached=70, cache_write=20, output=5),
    ),
    "anthropic through a router that adds up": (
        {
            "prompt_tokens": 100, "cache_read_input_tokens": 70, "cache_creation_input_tokens": 20,
            "completion_tokens": 5,
        },
        Counted(input=100, cached=70, cache_write=20, output=5),
    ),
    "anthropic through a router that does not": (
        {"prompt_tokens": 10, "cache_read_input_tokens": 70, "cache_creation_input_tokens": 20, "completion_tokens": 5},
        Counted(input=100, cached=70, cache_write=20, output=5),
    ),
    "a router with both habits": (
        {"prompt_tokens": 9, "cache_read_input_tokens": None, "prompt_tokens_details": {"cached_tokens": 7}},
        Counted(input=9, cached=7),
    ),
    "deepseek": (
        {
            "prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150, "prompt_cache_hit_tokens": 64,
            "prompt_cache_miss_tokens": 36,
        },
        Counted(input=100, cached=64, output=50),
    ),
    "moonshot": (
        {"prompt_tokens": 100, "completion_tokens": 5, "cached_tokens": 64},
        Counted(input=100, cached=64, output=5),
    ),
    "gemini, thought in the total alone": (
        {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115},
        Counted(input=10, output=105, reasoning=100),
    ),
    "xai, thought apart": (
        {
            "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115,
            "completion_tokens_details": {"reasoning_tokens": 100},
        },
        Counted(input=10, output=105, reasoning=100),
    ),
    "xai, without a total": (
        {"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 100}},
        Counted(input=10, output=100, reasoning=100),
    ),
    "openrouter": (
        {
            "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cost": 0.00014,
            "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 3},
        },
        Counted(input=10, cached=2, cache_write=3, output=5, usd=Decimal("0.00014")),
    ),
    "nothing": ({}, Counted()),
    "a total alone": ({"total_tokens": 0}, Counted()),
    "nulls": (
        {"prompt_tokens": 3, "completion_tokens": None, "prompt_tokens_details": None, "cost": None},
        Counted(input=3),
    ),
    "more cached than there is": (
        {"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 64}},
        Counted(input=74, cached=64),
    ),
    "numbers as texts and floats": ({"prompt_tokens": "12", "completion_tokens": 3.0}, Counted(input=12, output=3)),
}  # fmt: skip


@pytest.mark.parametrize(("usage", "found"), HABITS.values(), ids=HABITS)
def test_every_habit_is_counted_in_one_way(usage: dict[str, Any], found: Counted) -> None:
    assert counted(usage) == found


def test_no_usage_counts_nothing() -> None:
    assert counted(None) == Counted()


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -1}, {"completion_tokens": -5}, {"prompt_tokens": True}, {"prompt_tokens": "many"},
        {"prompt_tokens": [1]}, {"prompt_tokens": {}}, {"prompt_tokens": float("nan")},
        {"prompt_tokens": float("inf")}, {"prompt_tokens": 10**400}, {"prompt_tokens": MOST_TOKENS + 1},
        {"prompt_tokens_details": {"cached_tokens": -1}}, {"prompt_tokens_details": [1]},
        {"completion_tokens_details": "x"}, {"cache_read_input_tokens": -2}, {"total_tokens": -1}, [1], "usage", 3,
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_counts_is_refused(usage: Any) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)):
        counted(usage)


FIELDS = (
    "prompt_tokens", "input_tokens", "completion_tokens", "output_tokens", "total_tokens", "cache_read_input_tokens",
    "cache_creation_input_tokens", "prompt_cache_hit_tokens", "cached_tokens",
)  # fmt: skip
COUNTS = st.none() | st.integers(0, 50) | st.integers(0, MOST_TOKENS)


@given(
    fields=st.dictionaries(st.sampled_from(FIELDS), COUNTS),
    into=st.dictionaries(st.sampled_from(["cached_tokens", "cache_write_tokens"]), COUNTS),
    out=st.dictionaries(st.just("reasoning_tokens"), COUNTS),
)
def test_parts_are_never_more_than_the_whole(fields: dict[str, Any], into: dict[str, Any], out: dict[str, Any]) -> None:
    found = counted({**fields, "prompt_tokens_details": into, "completion_tokens_details": out})
    assert min(found.cached, found.cache_write, found.reasoning) >= 0
    assert found.cached + found.cache_write <= found.input
    assert found.reasoning <= found.output
    # nothing that somebody counted gets lost
    assert found.input >= max(fields.get("prompt_tokens") or 0, into.get("cached_tokens") or 0)
    assert found.output >= max(fields.get("completion_tokens") or 0, out.get("reasoning_tokens") or 0)


@pytest.mark.parametrize(
    ("cost", "usd"),
    [
        (0.00014, "0.00014"), (0, "0"), ("1.5", "1.5"), (1e-13, "0"), (0.1 + 0.2, "0.3"), (None, None), (-1, None),
        (True, None), ("free", None), ([1], None), ({"total": 1}, None), (float("nan"), None), (float("inf"), None),
        ("1e400", None), ("-0.1", None),
    ],
)  # fmt: skip
def test_what_the_provider_charged_lies_on_the_grid_of_money_or_is_not_known(cost: Any, usd: str | None) -> None:
    found = counted({"prompt_tokens": 1, "cost": cost}).usd
    assert found == (None if usd is None else Decimal(usd))


# ── which server takes what ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://api.openai.com/v1", "openai"), ("https://API.OpenAI.com/v1", "openai"),
        ("https://me.openai.azure.com/openai/deployments/x", "azure"), ("https://openai.azure.com/v1", "other"),
        ("https://api.anthropic.com/v1", "anthropic"), ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://api.deepseek.com", "deepseek"), ("https://api.openai.com.evil.example/v1", "other"),
        ("https://notapi.openai.com/v1", "other"), ("https://llm.example.com/v1", "other"),
        ("http://localhost:8000/v1", "vllm"), ("http://127.0.0.1/v1", "vllm"), ("http://[::1]:8000/v1", "vllm"),
        ("http://gpu-box:8000/v1", "vllm"), ("http://10.1.2.3/v1", "vllm"), ("http://192.168.0.7/v1", "vllm"),
        ("http://172.16.0.7/v1", "vllm"), ("http://172.31.255.1/v1", "vllm"), ("http://172.32.0.1/v1", "other"),
        ("http://8.8.8.8/v1", "other"), ("https://10.example.com/v1", "other"),
        ("http://llm.svc.cluster.local/v1", "vllm"),
    ],
)  # fmt: skip
def test_the_address_tells_the_dialect(address: str, name: str) -> None:
    assert dialect_of(address).name == name


def test_a_name_wins_over_the_address_and_an_unknown_one_is_an_error() -> None:
    assert dialect_of("https://api.openai.com/v1", "tgi").name == "tgi"
    with pytest.raises(ConfigError, match="'vlm'") as caught:
        dialect_of("http://localhost/v1", "vlm")
    assert "vllm" in caught.value.hint and "openai" in caught.value.hint


def test_the_table_is_sound() -> None:
    names = [each.name for each in DIALECTS]
    assert len(set(names)) == len(names)
    assert names[-1] == "other"
    known = {"top_k", "min_p", "seed", "n", "logprobs", "reasoning_effort"}
    for each in DIALECTS:
        assert each.extras <= known
        assert each.schemas[-1] == "prompted" and set(each.schemas) <= {"json_schema", "json_object", "prompted"}
        assert all(host == host.lower() for host in each.hosts)
    by = {each.name: each for each in DIALECTS}
    assert by["vllm"].extras == known
    assert by["azure"].key_header == "api-key"
    assert {each.key_header for each in DIALECTS if each.name != "azure"} == {"Authorization"}
