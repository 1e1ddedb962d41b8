"""A text in another language is refused, and nothing else is: not slang, not names, not a word or two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.synthesizing.judging import HOSTILE, brief, candidate, reason

from proofset.errors import ConfigError
from proofset.judges import Gates
from proofset.synthesizing.languages import LanguageGate, languages_of, probabilities, scripts

ENGLISH = [
    "Why has my new card not arrived yet?",
    "Can you tell me how to change my password?",
    "I think somebody has stolen my phone and my wallet.",
    "How long does a transfer to another country take?",
    "There is a payment that I do not remember making.",
    "Where can I find the receipt for this order?",
    "My mother always cooks soup on Sundays.",
    "The window in the kitchen does not open any more.",
]
GERMAN = [
    "Warum ist meine neue Karte noch nicht angekommen?",
    "Kannst du mir sagen, wie ich mein Passwort ändere?",
    "Ich glaube, jemand hat mein Telefon gestohlen.",
    "Wie lange dauert eine Überweisung ins Ausland?",
    "Meine Mutter kocht sonntags immer Suppe.",
]
OTHERS = {
    "de": "Das Fenster in der Küche lässt sich nicht mehr öffnen.",
    "fr": "Je crois que quelqu'un a volé mon téléphone.",
    "es": "¿Cuánto tarda una transferencia a otro país?",
    "it": "Dove trovo la ricevuta del mio ordine?",
    "nl": "Waarom is mijn nieuwe kaart nog niet aangekomen?",
    "pt": "A janela da cozinha já não abre.",
    "pl": "Dlaczego moja nowa karta jeszcze nie dotarła?",
    "tr": "Yeni kartım neden hâlâ gelmedi?",
}
SCRIPTS = {
    "Cyrillic": "Моя новая карта еще не пришла",
    "Greek": "Καλημέρα",
    "Cjk": "我的新卡还没有到",
    "Hiragana": "カードがまだとどきません",
    "Hangul": "아직 카드가 안 왔어요",
    "Arabic": "ما زلت أنتظر",
    "Devanagari": "मैं अभी भी",
    "Hebrew": "אני עדיין מחכה",
    "Thai": "ฉันยังรอ",
    "Cherokee": "ᎣᏏᏲ ᏙᎯᏧ",
}


@pytest.fixture(scope="module")
def gate() -> LanguageGate:
    return LanguageGate(ENGLISH, Gates())


@pytest.mark.parametrize("language", OTHERS)
def test_everyday_sentences_in_another_language_are_refused(gate: LanguageGate, language: str) -> None:
    verdict = gate.judge(brief(), candidate(OTHERS[language]))
    assert verdict.reason == "wrong language"
    assert verdict.evidence == (language,)
    assert f"{language} is " in verdict.critique
    assert reason(LanguageGate(ENGLISH, Gates(language=language)), OTHERS[language]) == ""


@pytest.mark.parametrize("script", SCRIPTS)
def test_another_script_is_refused_however_short(gate: LanguageGate, script: str) -> None:
    assert gate.judge(brief(), candidate(SCRIPTS[script])).evidence == (script,)


@pytest.mark.parametrize(
    "text",
    [
        "ok c u at 8 then m8, dont b late agen",
        "Visa or Mastercard?",
        "Schadenfreude and kindergarten",
        "bon appetit",
        "déjà vu café",
        "Nguyễn Văn Anh",
        "Łódź Kraków",
        "I ordered a tiramisu and a pizza margherita at Café Zürich.",
        "My name is Joaquín Müller and I live in Łódź.",
        "Heap buffer overflow in png_set_PLTE allows denial of service",
        "0800 555 1234",
        "07946746291/07880867867 28/5 +44 +49 £5",
        "the word Москва means Moscow in Russian",
        "",
        "🙂🙃",
    ],
)
def test_loan_words_names_slang_and_numbers_pass(gate: LanguageGate, text: str) -> None:
    assert reason(gate, text) == ""


def test_most_of_the_organic_texts_say_which_language_is_right() -> None:
    assert languages_of(ENGLISH) == {"en"}
    assert languages_of([*ENGLISH, *GERMAN[:2]]) == {"en"}  # 8 of 10
    assert languages_of([*ENGLISH, *GERMAN]) == {"en", "de"}  # 8 of 13
    assert languages_of([]) == languages_of(["", " "]) == frozenset()


def test_without_a_clear_majority_every_language_seen_is_right() -> None:
    both = LanguageGate([*ENGLISH, *GERMAN], Gates())
    assert [reason(both, OTHERS["de"]), reason(both, ENGLISH[0]), reason(both, OTHERS["pl"])] == [
        "", "", "wrong language",
    ]  # fmt: skip


def test_the_setting_names_a_language_whatever_the_organic_texts_are_in() -> None:
    german = LanguageGate(ENGLISH, Gates(language="de"))
    assert [reason(german, text) for text in (GERMAN[0], ENGLISH[0])] == ["", "wrong language"]
    russian = LanguageGate(ENGLISH, Gates(language="ru"))
    assert [reason(russian, SCRIPTS[name]) for name in ("Cyrillic", "Greek")] == ["", "wrong language"]
    assert reason(russian, "iPhone 15 Pro") == ""  # Latin names are at home everywhere


def test_any_language_is_right_where_none_is_asked_for_or_none_can_be_found() -> None:
    for gate in (LanguageGate(ENGLISH, Gates(language="any")), LanguageGate([], Gates())):
        assert {reason(gate, text) for text in (*OTHERS.values(), *SCRIPTS.values())} == {""}


def test_an_unknown_language_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"gates.language: 'english' is no language") as caught:
        LanguageGate(ENGLISH, Gates(language="english"))
    assert " en, " in caught.value.hint
    assert "zxx" not in caught.value.hint


def test_probabilities_sum_to_one_and_scripts_are_counted_by_letters() -> None:
    assert sum(probabilities(ENGLISH[0]).values()) == pytest.approx(1, abs=1e-4)
    assert next(iter(probabilities(ENGLISH[0]))) == "en"
    assert scripts("Привет, you! 12 Ａ") == {"CYRILLIC": 6, "LATIN": 4}


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:24])
def test_hostile_texts_get_a_verdict(gate: LanguageGate, text: str) -> None:
    assert reason(gate, text) in {"", "wrong language"}


@given(st.text(max_size=100))
def test_any_text_gets_a_verdict(text: str) -> None:
    assert reason(SHARED, text) in {"", "wrong language"}


SHARED = LanguageGate(ENGLISH, Gates())
