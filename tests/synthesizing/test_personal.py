"""Personal data is found however it is written, nothing else is taken for it, and no verdict gives it away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.synthesizing.judging import HOSTILE, brief, candidate, reason

from proofset.judges import Gates
from proofset.synthesizing.personal import PersonalGate, personal_data

FOUND = [
    ("write to Jane.Doe+x@Example.co.uk.", "e-mail address", "jane.doe+x@example.co.uk"),
    ("a@b.co", "e-mail address", "a@b.co"),
    ("ｍａｉｌ ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ", "e-mail address", "jane@example.com"),
    ("call +44 7911 123456 now", "phone number", "911123456"),
    ("call 07911123456now", "phone number", "911123456"),
    ("(020) 7946 0018", "phone number", "079460018"),
    ("+44 (0)20 7946 0018", "phone number", "079460018"),
    ("1 (555) 123-4567", "phone number", "551234567"),
    ("555.123.4567", "phone number", "551234567"),
    ("555-1234", "phone number", "5551234"),
    ("0049 151 12345678", "phone number", "112345678"),
    ("01 23 45 67 89", "phone number", "123456789"),
    ("٠٧٩١١ ١٢٣٤٥٦", "phone number", "911123456"),
    ("+4915112345678", "phone number", "112345678"),
    ("my card 4111 1111 1111 1111 is gone", "card number", "4111111111111111"),
    ("3782-822463-10005", "card number", "378282246310005"),
    ("DE89 3704 0044 0532 0130 00 is my account", "IBAN", "DE89370400440532013000"),
    ("gb82west12345698765432", "IBAN", "GB82WEST12345698765432"),
    ("from 8.8.8.8 today", "IP address", "8.8.8.8"),
    ("2001:4860:4860:0:0:0:0:8888", "IP address", "2001:4860:4860::8888"),
]
INNOCENT = [
    "call 123456", "on 2024-11-25 at 14:30:00", "25.11.2024", "11/25/2024", "25 11 2024", "20241125", "2019-2020",
    "2019 2020 2021", "£1,234,567.00", "$12345678", "1 234 567 euros", "12345678 USD", "1.234.567 reasons",
    "CVE-2021-44228", "version 10.0.19041.1234", "3.14159265", "10 20 30 40", "ISBN 978-3-16-148410-0", "10.1000/182",
    "127.0.0.1 and 192.168.0.1", "999.999.999.999", "::1 std::vector a::b 12:30:45", "name at example dot com",
    "@home me@ a@b", "FR76 is a prefix", "0x7fff5fbff8a0",
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "value"), FOUND, ids=lambda value: ascii(value)[:30])
def test_each_kind_is_found_in_every_way_to_write_it(text: str, kind: str, value: str) -> None:
    assert [(datum.kind, datum.value) for datum in personal_data(text)] == [(kind, value)]


@pytest.mark.parametrize("text", INNOCENT)
def test_amounts_dates_versions_and_private_addresses_are_nobodys(text: str) -> None:
    assert list(personal_data(text)) == []


def test_check_digits_tell_accounts_from_other_numbers() -> None:
    assert [each.kind for each in personal_data("4111 1111 1111 1112")] == []
    assert [each.kind for each in personal_data("DE88 3704 0044 0532 0130 00")] != ["IBAN"]
    assert [each.kind for each in personal_data("XX89 3704 0044 0532 0130 00")] != ["IBAN"]
    sound = [n for n in range(10) if any(each.kind == "card number" for each in personal_data(f"555555555555444{n}"))]
    assert sound == [4]


def test_a_stretch_of_text_is_taken_for_one_kind_only() -> None:
    text = "5555 5555 5555 4444, 07911123456 or 12345678@example.com, GB82WEST12345698765432"
    assert [datum.kind for datum in personal_data(text)] == ["e-mail address", "IBAN", "card number", "phone number"]


def test_what_follows_an_iban_is_no_part_of_it() -> None:
    text = "DE89 3704 0044 0532 0130 00 07911 123456"
    assert [datum.kind for datum in personal_data(text)] == ["IBAN", "phone number"]


def test_organic_refuses_what_an_organic_record_holds_and_nothing_else() -> None:
    gate = PersonalGate(["ring 07911 123456", "or mail Jane@Example.com", "nothing here"], Gates())
    assert reason(gate, "my number is +44 7911-123456, ok") == "personal data"
    assert reason(gate, "it is jane@example.COM") == "personal data"
    assert reason(gate, "my number is 07911 123457, ok") == ""
    assert reason(gate, "it is john@example.com and 4111 1111 1111 1111") == ""
    assert reason(PersonalGate(["nothing here"], Gates()), "07911 123456") == ""


def test_any_refuses_all_and_off_refuses_none() -> None:
    strict, off = (PersonalGate(["07911 123456"], Gates(personal=setting)) for setting in ("any", "off"))
    for text, _, _ in FOUND:
        assert reason(strict, text) == "personal data"
        assert reason(off, text) == ""
    assert {reason(strict, text) for text in INNOCENT} == {""}


@pytest.mark.parametrize(("text", "kind", "value"), FOUND, ids=lambda value: ascii(value)[:30])
def test_no_verdict_gives_the_datum_away(text: str, kind: str, value: str) -> None:
    for setting in ("organic", "any"):
        verdict = PersonalGate([text], Gates(personal=setting)).judge(brief(), candidate(text))
        assert verdict.evidence == (kind,)
        told = verdict.critique.replace(" ", "")
        assert value not in told
        assert not any(value[at : at + 4] in told for at in range(len(value) - 3))


def test_the_critique_counts_every_datum_and_the_evidence_every_kind() -> None:
    gate = PersonalGate([], Gates(personal="any"))
    verdict = gate.judge(brief(), candidate("4111 1111 1111 1111 or 5555 5555 5555 4444, ann@example.com"))
    assert verdict.evidence == ("card number", "e-mail address")
    masked = "an e-mail address beginning with a.., a card number ending in ..11, a card number ending in ..44"
    assert verdict.critique == masked


@pytest.mark.parametrize(
    "text",
    [*HOSTILE, "1" * 50_000, "a@" * 25_000, "a." * 25_000 + "@", "AA11" * 12_000, "1." * 25_000, "2001:" * 9_000,
     "+(" * 25_000, "x@" + "a." * 25_000, "1,000" * 9_000, "$" * 50_000],
    ids=lambda text: ascii(text)[:24],
)  # fmt: skip
@pytest.mark.timeout(5)
def test_hostile_texts_get_a_verdict_in_time(text: str) -> None:
    assert reason(ANY, text) in {"", "personal data"}


@given(st.text(max_size=120) | st.text(alphabet="0123456789+-. ()/:@aDE#€", max_size=60))
def test_any_text_gets_a_verdict(text: str) -> None:
    assert reason(ANY, text) in {"", "personal data"}


ANY = PersonalGate([], Gates(personal="any"))
