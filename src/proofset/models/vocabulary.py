"""A model's own tokens: text to tokens as the model was trained on it, and tokens back to bytes as they come."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proofset.errors import ConfigError
from proofset.models.gguf import HINT, LlamaFile

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPLITS_DIGITS = {"gpt-2": False, "smollm": True}
"""Ways to cut text into words that are known here, by GGUF's name; and whether each digit is a word of its own."""
ENDS = {"<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "<|end|>", "</s>"}
"""Control tokens that end a reply whatever the file names as its end, as in llama.cpp."""
CONTROL, USER_DEFINED = 3, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """A byte-level tokenizer, and the tokens with a special part."""

    tokenizer: Tokenizer
    pieces: tuple[bytes, ...]
    """What each token adds to the text; nothing for control tokens."""
    opens: tuple[int, ...]
    """Tokens before every text."""
    ends: frozenset[int]
    """Tokens that end a reply."""

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, opening ones included."""
        return [*self.opens, *self.tokenizer.encode(text, add_special_tokens=False).ids]

    def save(self, folder: Path) -> None:
        """Write it to ``folder``."""
        self.tokenizer.save(str(folder / "tokenizer.json"))
        hidden = [at for at, piece in enumerate(self.pieces) if not piece]
        parts = {"opens": list(self.opens), "ends": sorted(self.ends), "hidden": hidden}
        (folder / "special.json").write_text(json.dumps(parts), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Vocabulary:
        """What was saved to ``folder``."""
        from tokenizers import Tokenizer

        parts = json.loads((folder / "special.json").read_text(encoding="utf-8"))
        return cls._made(Tokenizer.from_file(str(folder / "tokenizer.json")), **parts)

    @classmethod
    def of(cls, model: LlamaFile) -> Vocabulary:
        """The vocabulary of a GGUF file: byte-level pairs. Raises ConfigError for another kind."""
        tokens, kinds, merges = (
            list(model.field(f"tokenizer.ggml.{name}")) for name in ("tokens", "token_type", "merges")
        )
        special = {at: token for at, token in enumerate(tokens) if kinds[at] in (CONTROL, USER_DEFINED)}
        hidden = [at for at in special if kinds[at] == CONTROL]
        ends = {model.field(f"tokenizer.ggml.{name}_token_id", -1) for name in ("eos", "eot")} - {-1}
        opening = model.field("tokenizer.ggml.bos_token_id", -1)
        return cls._made(
            _tokenizer(model, tokens, merges, special.values()),
            opens=[opening] if model.field("tokenizer.ggml.add_bos_token", False) and opening >= 0 else [],
            ends=ends | {at for at in hidden if tokens[at] in ENDS},
            hidden=hidden,
        )

    @classmethod
    def _made(cls, tokenizer: Tokenizer, opens: list[int], ends: Iterable[int], hidden: list[int]) -> Vocabulary:
        alphabet = _alphabet()
        texts = [tokenizer.id_to_token(at) for at in range(tokenizer.get_vocab_size())]
        pieces = [b"".join(alphabet.get(letter) or letter.encode() for letter in text or "") for text in texts]
        for at in hidden:
            pieces[at] = b""
        return cls(tokenizer=tokenizer, pieces=tuple(pieces), opens=tuple(opens), ends=frozenset(ends))


def readable(said: bytes) -> str:
    """Bytes as text, without a last character that is not whole yet; a broken one elsewhere is shown as such."""
    return codecs.getincrementaldecoder("utf-8")("replace").decode(said)


def _tokenizer(model: LlamaFile, tokens: list[str], merges: list[str], special: Iterable[str]) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    kind, cut = (model.field(f"tokenizer.ggml.{name}", "none") for name in ("model", "pre"))
    if kind != "gpt2" or cut not in SPLITS_DIGITS:
        raise ConfigError(f"{model.path}: its tokenizer is {kind}/{cut}, which is not known here", hint=HINT)
    pairs = [(first, second) for first, _, second in (merge.partition(" ") for merge in merges)]
    made = Tokenizer(models.BPE({token: at for at, token in enumerate(tokens)}, pairs))
    digits = [pre_tokenizers.Digits(individual_digits=True)] if SPLITS_DIGITS[cut] else []
    made.pre_tokenizer = pre_tokenizers.Sequence([*digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return made


def _alphabet() -> dict[str, bytes]:
    """The letters by which byte-level vocabularies write bytes: printable ones are themselves, the rest follow."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {chr(byte): bytes([byte]) for byte in printable}
    return letters | {chr(256 + n): bytes([byte]) for n, byte in enumerate(others)}
