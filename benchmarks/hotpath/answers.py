"""What the mock model says: text, verdicts and JSON that follow from a hash of what was asked and nothing else."""

from __future__ import annotations

import json
import re
from hashlib import blake2b
from typing import Any, NamedTuple

ACCEPTED_PERCENT = 80
CHARACTERS_PER_TOKEN = 4

_WORDS = """
DETERMINER the a our this each that one another my their
ADJECTIVE late broken quiet second blue heavy early missing narrow spare cold remote damp plain faulty yellow
old brief steady loose wrong public sealed short grey local new empty rapid round sharp single soft square
strange sudden tall thick warm weekly wide wooden worn young bright calm careful cheap clear close common daily
deep distant double dry equal
NOUN parcel order invoice courier printer account ticket window engine garden bridge ledger battery camera
driver clerk station harbour lamp router filter valve kitchen letter market museum needle office paper pump
railway river roof sensor shelf signal socket spring stamp street supplier switch table tenant tower track
tunnel van village wagon wall warehouse weather wheel winter worker yard boiler button cable carpet ceiling
chair client clock coat contract corner counter customer delivery desk door drawer email factory fence ferry
floor folder form fridge gate handle heater hotel island kettle keyboard ladder library lock machine manual map
meter mirror neighbour password pipe plate refund screen
VERB replaced opened returned blocked carried checked cleaned closed crossed delayed dropped emptied entered
fixed followed guarded heated joined labelled left lifted loaded marked measured missed moved noticed ordered
packed painted passed pulled pushed reached removed repaired reported rented shipped shook signed sold sorted
started stopped stored tested touched turned updated visited washed weighed wired
ADVERB slowly again twice barely often early nearly rarely quietly today soon never once gladly partly
PREPOSITION behind near under above beside after before without inside beyond against around towards from
JOINT while because so until although and but whenever since unless
"""


def lexicon(text: str) -> dict[str, list[str]]:
    """Words by kind: a word in capitals names the kind of those that follow it."""
    found: dict[str, list[str]] = {}
    kind = ""
    for word in text.split():
        if word.isupper():
            kind = word
            found[kind] = []
        else:
            found[kind].append(word)
    return found


_ORDER = (
    "DETERMINER ADJECTIVE NOUN ADVERB VERB DETERMINER ADJECTIVE NOUN PREPOSITION DETERMINER ADJECTIVE NOUN "
    "JOINT DETERMINER NOUN VERB DETERMINER ADJECTIVE NOUN PREPOSITION DETERMINER ADJECTIVE NOUN ADVERB"
)
SHAPE = [lexicon(_WORDS)[kind] for kind in _ORDER.split()]
"""For each place in a sentence, the words that may stand there."""
ENDS = (12, 19, 23, 24)
"""Word counts at which a sentence of SHAPE may stop."""

VERDICT = re.compile(r"accept|approv|verdict|decision|pass|valid|keep|score|rating|grade", re.IGNORECASE)
YES = ("accept", "approve", "pass", "yes", "keep", "valid", "good", "true")
JUDGING = re.compile(r"\b(?:critic|judge)\b")


class Draws:
    """Numbers that follow from a seed alone: the digits of its hash, in whatever base is asked for."""

    __slots__ = ("_pool", "_seed")

    def __init__(self, seed: bytes) -> None:
        self._seed, self._pool = seed, 0

    def below(self, limit: int) -> int:
        """The next number in [0, limit)."""
        if self._pool >> 64 == 0:  # too few digits left to be even: hash on
            self._seed = blake2b(self._seed).digest()
            self._pool = int.from_bytes(self._seed)
        self._pool, drawn = divmod(self._pool, limit)
        return drawn

    def fraction(self) -> float:
        """The next number in [0, 1)."""
        return self.below(2**32) / 2**32

    def sentence(self) -> str:
        """12 to 24 words that read like English and that no other seed gives."""
        words = [slot[self.below(len(slot))] for slot in SHAPE[: ENDS[self.below(len(ENDS))]]]
        return " ".join(words).capitalize() + "."


def filled(schema: dict[str, Any], draws: Draws, *, accepts: bool, root: dict[str, Any], name: str = "") -> Any:
    """A value that a simple JSON schema allows; fields called like a verdict agree with ``accepts``."""

    def inner(part: dict[str, Any], called: str) -> Any:
        return filled(part, draws, accepts=accepts, root=root, name=called)

    if "$ref" in schema:
        target: Any = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return inner(target, name)
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return inner(schema[key][0], name)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return chosen(schema["enum"], draws, accepts=accepts if VERDICT.search(name) else None)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if kind == "object":
        return {key: inner(part, key) for key, part in schema.get("properties", {}).items()}
    if kind == "array":
        count = max(schema.get("minItems", 0), min(schema.get("maxItems", 2), 2))
        return [inner(schema.get("items", {}), name) for _ in range(count)]
    return scalar(schema, kind, draws, accepts=accepts if VERDICT.search(name) else None)


def chosen(options: list[Any], draws: Draws, *, accepts: bool | None) -> Any:
    """One of an enum's options; where a verdict is asked, one that says it."""
    if accepts is not None:
        fitting = [option for option in options if str(option).lower().startswith(YES) == accepts]
        options = fitting or options
    return options[draws.below(len(options))]


def scalar(schema: dict[str, Any], kind: str, draws: Draws, *, accepts: bool | None) -> Any:
    """A boolean, number, string or null within the schema's bounds; what is accepted scores in the upper half."""
    if kind == "boolean":
        return draws.below(2) == 1 if accepts is None else accepts
    if kind in ("integer", "number"):
        low = int(schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1))
        high = max(low, int(schema.get("maximum", schema.get("exclusiveMaximum", low + 5) - 1)))
        middle = (low + high + 1) // 2
        if accepts is not None:
            low, high = (middle, high) if accepts else (low, max(low, middle - 1))
        return low + draws.below(high - low + 1)
    if kind == "null":
        return None
    text = draws.sentence()
    while len(text) < schema.get("minLength", 0):
        text += " " + draws.sentence()
    return text[: schema.get("maxLength")]


class Asked(NamedTuple):
    """What the server understood of a request."""

    chat: bool
    model: str
    prompts: list[str]
    schema: dict[str, Any] | None  # of the JSON that is wanted; {} for any object, None for plain text
    tool: str | None  # the function that has to be called
    each: int  # choices for each prompt
    max_tokens: int
    stop: list[str]
    digest: bytes

    @classmethod
    def read(cls, body: bytes, *, chat: bool) -> Asked:
        """Parse a body. Raises KeyError, TypeError, ValueError or AttributeError for what is not a request."""
        told = json.loads(body)
        if chat:
            if not told["messages"]:
                raise ValueError("no messages")
            prompts = ["\n".join(_said(message) for message in told["messages"])]
        else:
            prompts = told["prompt"] if isinstance(told["prompt"], list) else [told["prompt"]]
        wanted = told.get("response_format") or {}
        schema = wanted["json_schema"]["schema"] if wanted.get("type") == "json_schema" else None
        tool = told["tools"][0]["function"] if told.get("tools") else None
        if tool is not None:
            schema = tool.get("parameters", {})
        elif wanted.get("type") == "json_object":
            schema = {}
        each, stop = int(told.get("n") or 1), told.get("stop") or []
        identity = f"{told['model']}\0{told.get('seed')}\0{each}\0" + "\0".join(prompts)
        return cls(
            chat=chat,
            model=told["model"],
            prompts=prompts,
            schema=schema,
            tool=tool["name"] if tool else None,
            each=each,
            max_tokens=int(told.get("max_tokens") or told.get("max_completion_tokens") or 4096),
            stop=[stop] if isinstance(stop, str) else stop,
            digest=blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=16).digest(),
        )

    def text(self, prompt: str, draws: Draws) -> str:
        """What the model says: a sentence, a verdict, or JSON for the schema."""
        accepts = draws.below(100) < ACCEPTED_PERCENT
        if self.schema:
            return json.dumps(filled(self.schema, draws, accepts=accepts, root=self.schema))
        lower = prompt.lower()
        if ("judge" in lower or "critic" in lower) and JUDGING.search(lower):
            score = draws.below(2) + (4 if accepts else 1)
            said = json.dumps({"accept": accepts, "score": score, "reason": draws.sentence()})
        elif self.schema is not None:
            said = json.dumps({"text": draws.sentence()})
        else:
            return draws.sentence()
        return f"```json\n{said}\n```" if self.schema is None and "```json" in prompt else said

    def choice(self, index: int) -> tuple[str, int]:
        """The JSON of one choice, and its completion tokens."""
        prompt = self.prompts[index // self.each]
        text, finish = self.text(prompt, Draws(self.digest + index.to_bytes(4))), "stop"
        for end in self.stop:
            text = text.partition(end)[0] if end else text
        tokens = len(text) // CHARACTERS_PER_TOKEN + 1
        if tokens > self.max_tokens:
            text, finish, tokens = text[: CHARACTERS_PER_TOKEN * self.max_tokens], "length", self.max_tokens
        said = json.dumps(text)
        if self.tool is not None:
            call = f'{{"name":{json.dumps(self.tool)},"arguments":{said}}}'
            called = f'[{{"id":"call_{self.digest.hex()[:16]}","type":"function","function":{call}}}]'
            shown = f'"message":{{"role":"assistant","content":null,"tool_calls":{called}}}'
        elif self.chat:
            shown = f'"message":{{"role":"assistant","content":{said}}}'
        else:
            shown = f'"text":{said}'
        return f'{{"index":{index},{shown},"logprobs":null,"finish_reason":"{finish}"}}', tokens

    def answer(self) -> bytes:
        """The body of a good answer."""
        choices, tokens = zip(*(self.choice(index) for index in range(self.each * len(self.prompts))), strict=True)
        asked = sum(len(prompt) // CHARACTERS_PER_TOKEN + 1 for prompt in self.prompts)
        kind, prefix = ("chat.completion", "chatcmpl") if self.chat else ("text_completion", "cmpl")
        return (
            f'{{"id":"{prefix}-{self.digest.hex()}","object":"{kind}","created":1700000000,'
            f'"model":{json.dumps(self.model)},"choices":[{",".join(choices)}],'
            f'"usage":{{"prompt_tokens":{asked},"completion_tokens":{sum(tokens)},"total_tokens":{asked + sum(tokens)},'
            '"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}'
        ).encode()


def _said(message: dict[str, Any]) -> str:
    """A message as text; content in parts is taken as its JSON."""
    content = message.get("content")
    return f"{message['role']}: {content if isinstance(content, str) else json.dumps(content)}"
