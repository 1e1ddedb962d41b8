"""The personal data gate: nobody's address, number or account may stand in a record that was made up.

Found are e-mail addresses, phone numbers, payment card numbers and IBANs (by their check digits), and public IP
addresses. National identity numbers are left out: without check digits any number is one. Names are left out too.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from proofset.judges import Gates
from proofset.nouns.candidate import Brief, Candidate, Verdict
from proofset.synthesizing.gates import accept, reject

Kind = Literal["e-mail address", "IBAN", "card number", "IP address", "phone number"]

_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?!\w)")
_IBAN = re.compile(r"(?<![A-Z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}", re.IGNORECASE)
_CARD = re.compile(r"(?<![\w.+])(?<!\w-)[2-6](?:[ -]?\d){13,18}(?!\w)")
_IP4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)")
_IP6 = re.compile(r"(?<![\w:.])[23][0-9a-f]{3}:[0-9a-f:]{2,35}(?![\w:])", re.IGNORECASE)
_PHONE = re.compile(r"(?<![\w.+#])(?<!\w[-/])\+?\(?\d(?:[ ()./-]{0,3}\d){6,16}(?!\d|[-/.]\d)")

_DAY, _YEAR = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:19|20)\d\d"
_DATE = re.compile(
    rf"(?<!\d)(?:{_YEAR}([-/. ]){_DAY}\1{_DAY}|{_DAY}([-/. ]){_DAY}\2{_YEAR}|{_YEAR} ?[-/] ?{_YEAR}"
    rf"|{_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))(?!\d)"
)
_CURRENCY = r"[$€£¥₹₽₺₩]|\b(?:USD|EUR|GBP|CHF|JPY|INR|PLN|Rs|dollars?|euros?|pounds?|percent)\b|%"
_AMOUNT = r"\d{1,20}(?:[ ,.']\d{3}){0,6}(?:[.,]\d{1,2})?"
_PRICE = re.compile(rf"(?:{_CURRENCY}) ?\.?{_AMOUNT}|(?<!\d){_AMOUNT} ?(?:{_CURRENCY})", re.IGNORECASE)
_GROUPED = re.compile(r"[1-9]\d{0,2}(?:([.])\d{3}(?:\1\d{3})+|( )\d{3}(?:\2\d{3})+)")

_IBAN_LENGTHS = dict[str, int]()
"""Characters of an IBAN by country, as its registry lists them."""
for _length, _countries in {
    15: "NO", 16: "BE", 18: "DK FI FO GL NL", 19: "MK SI", 20: "AT BA EE KZ LT LU XK", 21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ", 24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "PT",
    26: "IS TR", 27: "FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB PL", 29: "BR EG PS QA UA", 30: "JO KW MU",
    31: "MT",
}.items():  # fmt: skip
    _IBAN_LENGTHS.update(dict.fromkeys(_countries.split(), _length))


@dataclass(frozen=True, slots=True)
class Datum:
    """A personal datum in a form that is equal for all ways to write it."""

    kind: Kind
    value: str

    def masked(self) -> str:
        """Words for people that do not give the datum away, like "a card number ending in ..34"."""
        article = "an" if self.kind[0] in "eI" else "a"
        if self.kind == "e-mail address":
            return f"{article} {self.kind} beginning with {self.value[0]}.."
        return f"{article} {self.kind} ending in ..{self.value[-2:].lstrip('.:')}"


def personal_data(text: str) -> Iterator[Datum]:
    """Every personal datum of a text, each stretch of it taken for one kind only.

    When it lies: numbers of 7 to 15 digits that count or name something else, an order say, look like phone numbers,
    and versions of four numbers like IP addresses; addresses spelt out ("name at example dot com") are not seen, and
    a card number with a typing error is none.
    """
    left = unicodedata.normalize("NFKC", text)
    if "@" in left:
        yield from (Datum("e-mail address", found.casefold()) for found in _EMAIL.findall(left))
        left = _EMAIL.sub(" # ", left)
    for pattern, read in ((_IBAN, _iban), (_CARD, _card), (_IP4, _address), (_IP6, _address)):
        rest, at = "", 0
        for match in pattern.finditer(left):
            if (found := read(match[0])) is not None:
                datum, length = found
                yield datum
                rest, at = f"{rest}{left[at : match.start()]} # ", match.start() + length
        left = rest + left[at:]
    for pattern in (_PRICE, _DATE):
        left = pattern.sub(" # ", left)
    for match in _PHONE.finditer(left):
        if _dialled(match[0]):
            yield Datum("phone number", _digits(match[0])[-9:])  # equal with and without a country's prefix


def _digits(text: str) -> str:
    """The decimal digits of any script, as ASCII."""
    return "".join(str(int(each)) for each in text if each.isdecimal())


def _iban(text: str) -> tuple[Datum, int] | None:
    """The IBAN at the start of ``text`` (what follows may be words) and the characters it takes."""
    wanted = _IBAN_LENGTHS.get(text[:2].upper(), 0)
    ends = [end for end, each in enumerate(text, start=1) if each not in " -"]
    if not wanted or len(ends) < wanted or not text.isascii():
        return None
    length = ends[wanted - 1]
    plain = re.sub("[ -]", "", text[:length]).upper()
    number = int("".join(str(int(each, 36)) for each in plain[4:] + plain[:4]))
    return (Datum("IBAN", plain), length) if number % 97 == 1 else None


def _card(text: str) -> tuple[Datum, int] | None:
    digits = _digits(text)
    doubled = [sum(divmod(2 * int(each), 10)) for each in digits[-2::-2]]
    sound = (sum(doubled) + sum(map(int, digits[::-2]))) % 10 == 0
    return (Datum("card number", digits), len(text)) if sound else None


def _address(text: str) -> tuple[Datum, int] | None:
    """A public IP address: private and reserved ones are nobody's."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return (Datum("IP address", address.compressed), len(text)) if address.is_global else None


def _dialled(text: str) -> bool:
    """Whether a run of digits looks like one to dial: grouped like no amount, no version and no list of numbers."""
    groups = re.findall(r"\d+", text)
    n_digits = sum(map(len, groups))
    if text[0] == "+" or groups[0].startswith("00"):
        return 8 <= n_digits <= 17
    if not 7 <= n_digits <= 15 or min(map(len, groups[1:]), default=2) < 2:
        return False
    if max(map(len, groups)) == 2 and text[0] != "0":
        return False
    if (grouped := _GROUPED.fullmatch(text)) and (grouped[1] or len(groups[0]) < 3 or n_digits > 9):
        return False
    if all(re.fullmatch(_YEAR, group) for group in groups):
        return False
    return "." not in text or (len(groups) > 2 and re.fullmatch(r"[\d.]+", text) is not None)


class PersonalGate:
    """Does it give somebody away? Reason: personal data. Evidence: the kinds of datum, never a datum itself.

    Kinds: e-mail address, IBAN, card number, IP address, phone number. With the setting "organic" only a datum that
    stands in an organic record as well is refused: it belongs to somebody. With "any" all are, with "off" none.
    """

    name = "personal"

    def __init__(self, organic: Sequence[str], settings: Gates) -> None:
        """Learn whose data stands in ``organic``; ``settings.personal`` says what is refused."""
        self._setting = settings.personal
        texts = organic if self._setting == "organic" else ()
        self._known = frozenset(datum for text in texts for datum in personal_data(text))

    def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
        """Refuse a text with personal data; the critique masks them."""
        del brief
        if self._setting == "off" or (self._setting == "organic" and not self._known):
            return accept(self.name, candidate)
        found = dict.fromkeys(
            datum for datum in personal_data(candidate.text) if self._setting == "any" or datum in self._known
        )
        if not found:
            return accept(self.name, candidate)
        where = " that an organic record holds" if self._setting == "organic" else ""
        critique = ", ".join(datum.masked() for datum in found) + where
        return reject(self.name, candidate, "personal data", critique, *sorted({datum.kind for datum in found}))
