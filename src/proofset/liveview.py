"""The run while it works: a line a verb, and for the loop what every model is doing and what it has cost so far."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from proofset.nouns.event import BriefClosed, Event, Paused, Proposed, SliceClosed
from proofset.nouns.result import Meter, Standing
from proofset.reporting.words import count, duration, line, money, percent
from proofset.terminal import console

PAINTS_A_SECOND = 4
FIRST_LINE, LINE_S, LONGEST_LINE_S = 100, 30.0, 600.0
"""Where there is no terminal: a line at this many closed briefs and at each doubling; and after so many seconds, at
first the fewer."""
WIDE = 80
"""Columns of a terminal from which all is shown; a narrower one gets what matters most."""
VERB_CHARS, TIME_CHARS, SLICE_CHARS, REASON_CHARS, MODEL_CHARS = 10, 12, 48, 24, 40
SOME = 5
"""Accepted records from which the time that is left can be told."""


class LiveView:
    """Told of verbs, events and models; paints on standard error, or writes plain lines where nobody watches."""

    def __init__(self) -> None:
        """Nothing is shown before the first verb."""
        self.verbs: list[str] = []
        """The verbs that were not done already."""
        self._console: Console = console(stderr=True)
        self._paints = self._console.is_terminal and not self._console.is_dumb_terminal
        self._live: Live | None = None
        now = time.monotonic()
        self._verb, self._began, self._slice, self._broke = "", now, "", False
        self._closed = self._accepted = self._written = 0
        self._next_line, self._line_s, self._line_at = FIRST_LINE, LINE_S, now
        self._refused: Counter[str] = Counter()
        self._standing: Callable[[], Standing] | None = None
        self._spoke_at, self._spent_before = now, Decimal(0)

    def verb(self, name: str) -> None:
        """A verb begins."""
        self._end_verb()
        self.verbs.append(name)
        self._verb, self._began = name, time.monotonic()
        self._spoke_at = self._began
        if not self._paints:
            self._say(f"{name} …")
            return
        self._live = Live(
            get_renderable=self._painted, console=self._console, refresh_per_second=PAINTS_A_SECOND, transient=True
        )
        self._live.start()

    def event(self, event: Event) -> None:
        """Something was logged."""
        if isinstance(event, Proposed):
            self._slice = event.candidate.slice
        elif isinstance(event, BriefClosed):
            self._closed += 1
            self._accepted += event.winner is not None
            if event.winner is None:
                self._refused[event.reason] += 1
            self._write_now_and_then()
        elif isinstance(event, Paused):
            self.notice(f"{event.model}: {event.why}; left alone for {duration(event.seconds)}")
        elif isinstance(event, SliceClosed) and event.stop == "budget" and not self._broke:
            self._broke = True  # once: every slice after it ends for the same reason
            self.notice("the budget is used up; --budget-usd with a higher amount goes on from here")

    def gauge(self, standing: Callable[[], Standing]) -> None:
        """From here on, ``standing`` says where the models stand."""
        self._standing, self._spoke_at = standing, time.monotonic()
        self._spent_before = standing().spent_usd  # what earlier walks spent, on records that are not counted here

    def notice(self, told: str) -> None:
        """Something that a person should know now; it stays on the screen."""
        if self._paints:
            self._console.print(Padding(Text(line(told), style="yellow"), (0, 0, 0, 2), expand=False))
        else:
            self._say(f"  {line(told)}")

    def _say(self, told: str) -> None:
        """A plain line. Not as a string, in which the console would take brackets for styles."""
        self._console.print(Text(told), soft_wrap=True)

    def _write_now_and_then(self) -> None:
        """A plain line, where there is no terminal: at each doubling, and ever more seldom as time goes by."""
        now = time.monotonic()
        if self._paints or not (self._closed >= self._next_line or now - self._line_at > self._line_s):
            return
        if self._closed >= self._next_line:
            self._next_line *= 2
        else:
            self._line_s = min(LONGEST_LINE_S, 2 * self._line_s)
        self._line_at = now
        self._write()

    def _write(self) -> None:
        """Where the loop stands, in plain lines."""
        self._written = self._closed
        self._say(f"  {line(self._slice, SLICE_CHARS)} · {self._counts()}")
        for told in self._models():
            self._say(f"    {told}")

    def _painted(self) -> Group:
        """What stands on the screen just now; called from the painting thread."""
        if self._verb != "synthesize":
            return Group(self._head())
        head = self._head().append(f"  {line(self._slice, SLICE_CHARS)}", style="dim")
        return Group(_one_line(head), *self._board())

    def _head(self) -> Text:
        """The verb and its time so far, where they stay when it is over."""
        seconds = duration(time.monotonic() - self._began)
        return Text.assemble((f"{self._verb:<{VERB_CHARS}}", "bold"), f"{seconds:>{TIME_CHARS}}")

    def _board(self) -> Iterator[RenderableType]:
        """How far the loop is, what was refused, one line a model, and one for the money."""
        standing = None if self._standing is None else self._standing()
        if standing is not None and standing.wanted:
            yield self._bar(standing)
        yield _one_line(Text(f"  {self._counts()}"))
        if standing is None:
            return
        if standing.meters:
            yield Text()
            yield self._table(standing)
            yield Text()
        yield _one_line(Text(f"  {self._money(standing)}"))

    def _bar(self, standing: Standing) -> Table:
        """Accepted of wanted, and how long the rest will take."""
        accepted, wanted, left = min(self._accepted, standing.wanted), standing.wanted, self._left(standing)
        row = Table.grid(padding=(0, 2, 0, 0))
        for _ in range(3):
            row.add_column(no_wrap=True, overflow="ellipsis")
        bar = ProgressBar(total=wanted, completed=accepted, width=36 if self._console.width >= WIDE else 12)
        told = f"{percent(accepted / wanted):>6}  {count(accepted)} of {count(wanted)}"
        row.add_row("", bar, Text(f"{told} · {duration(left)} to go" if left else told))
        return row

    def _counts(self) -> str:
        rate = self._accepted / self._spoken_s()
        told = f"{count(self._accepted)} accepted of {count(self._closed)} ({rate:,.1f}/s)"
        # Copied at once: a reason that is new would else change the table under the painting thread.
        refused = sorted(dict(self._refused).items(), key=lambda each: -each[1])[:3]
        most = ", ".join(f"{line(reason, REASON_CHARS)} {count(n)}" for reason, n in refused)
        return f"{told} · refused: {most}" if most else told

    def _table(self, standing: Standing) -> Table:
        """One line a model."""
        seconds, names = self._spoken_s(), _short([meter.model for meter in standing.meters])
        columns = [each for each in _COLUMNS if each[2] or self._console.width >= WIDE]
        room = self._console.width - sum(width + 2 for _, width, _ in columns)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("  model", no_wrap=True, overflow="ellipsis", max_width=max(12, min(MODEL_CHARS, room)))
        for name, width, _ in columns:
            table.add_column(name, justify="right", no_wrap=True, min_width=width)
        for meter, name in zip(standing.meters, names, strict=True):
            figures = dict(zip(_COLUMNS, _figures(meter, seconds), strict=True))
            if paused := _paused(meter):
                figures[_COLUMNS[0]] = f"[yellow]{paused}[/]"
            table.add_row(Text(f"  {name}"), *(figures[each] for each in columns))
        return table

    def _models(self) -> Iterator[str]:
        """The same in plain lines."""
        if self._standing is None:
            return
        standing, seconds = self._standing(), self._spoken_s()
        for meter, name in zip(standing.meters, _short([meter.model for meter in standing.meters]), strict=True):
            flight, calls, tokens, replays, usd = _figures(meter, seconds)
            told = f"{flight} in flight, {calls} calls/s, {tokens} tokens/s, {replays} replayed, {usd}"
            paused = f", {paused}" if (paused := _paused(meter)) else ""
            yield f"{name}: {told}{paused}"
        left = self._left(standing)
        yield self._money(standing) + (f" · {duration(left)} to go" if left else "")

    def _money(self, standing: Standing) -> str:
        cap = "no cap" if standing.cap_usd is None else f"cap {money(standing.cap_usd)}"
        told = f"{money(standing.spent_usd)} spent · {money(standing.reserved_usd)} reserved · {cap}"
        if not self._accepted:
            return told
        each = (standing.spent_usd - self._spent_before) / Decimal(self._accepted)
        return f"{told} · {money(each)} per accepted"

    def _left(self, standing: Standing) -> float:
        """Seconds until all that is wanted is accepted, at the rate so far; 0 when that cannot be told yet."""
        if self._accepted < SOME:
            return 0.0
        return max(0, standing.wanted - self._accepted) * self._spoken_s() / self._accepted

    def _spoken_s(self) -> float:
        """Seconds since the models began to speak."""
        return max(1e-9, time.monotonic() - self._spoke_at)

    def _end_verb(self) -> None:
        """The verb is over: its line stays."""
        if self._live is not None:
            self._live.stop()
            self._live = None
            head = self._head()
            if self._verb == "synthesize":
                head.append(f"  {self._counts()}")
            self._console.print(head, no_wrap=True, overflow="ellipsis")
        elif self._written < self._closed:
            self._write()
        self._standing = None

    def __enter__(self) -> Self:
        """Watch."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Leave the cursor on a line of its own."""
        self._end_verb()


_COLUMNS = (
    ("in flight", 13, True),
    ("calls/s", 7, False),
    ("tokens/s", 8, True),
    ("replayed", 8, False),
    ("spent", 8, True),
)
"""Figures of a model: heading, narrowest width (so that nothing jumps as numbers grow), and whether always shown."""


def _figures(meter: Meter, seconds: float) -> tuple[str, str, str, str, str]:
    """In flight of the limit, calls and tokens a second, replays, and money."""
    return (
        f"{meter.in_flight}/{meter.limit}",
        f"{meter.calls / seconds:,.1f}",
        f"{meter.tokens / seconds:,.0f}",
        count(meter.replays),
        money(meter.usd),
    )


def _paused(meter: Meter) -> str:
    """Whether the server is left alone, and how long."""
    return f"paused {meter.paused_s:.0f} s" if meter.paused_s >= 1 else ""


def _short(names: Sequence[str]) -> list[str]:
    """Models without their servers, unless two would then be called the same."""
    short = [name.partition(" at http")[0] for name in names]
    return [line(name, MODEL_CHARS) for name in (short if len(set(short)) == len(short) else names)]


def _one_line(text: Text) -> Text:
    """A text that is cut where the terminal ends, so that the lines below keep their places."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
