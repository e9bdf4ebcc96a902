"""How a demo looks: alive on a terminal, plain lines in a pipe."""

from collections import deque
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from accountd.cli.demo_story import Event, FillCame, Finished, Latency, Opened, Pulse, Said
from accountd.cli.demo_verdict import Line, Verdict

TONES = {"good": "green", "bad": "red", "plain": ""}
STATES = {"LIVE": "bold green", "SYNCING": "bold yellow", "CONNECTING": "bold yellow", "CLOSED": "bold red"}
FILLS_SHOWN = 10


class View(Protocol):
    """Shows a demo while it happens; used as a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, event: Event) -> None:
        """Show one event."""


class LiveView:
    """Redraws a terminal a few times a second."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.opened: Opened | None = None
        self.pulse: Pulse | None = None
        self.said: list[Said] = []
        self.fills: deque[FillCame] = deque(maxlen=FILLS_SHOWN)
        self.live = Live(console=console, get_renderable=self._screen, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()

    def show(self, event: Event) -> None:
        """Take over one event; the next redraw shows it."""
        match event:
            case Opened():
                self.opened = event
            case Pulse():
                self.pulse = event
            case Said():
                self.said.append(event)
            case FillCame():
                self.fills.appendleft(event)
            case Finished():
                self.pulse = event.pulse
                self.live.stop()
                self._end(event)

    def _screen(self) -> RenderableType:
        parts: list[RenderableType] = [Text(""), self._head()]
        if self.pulse:
            parts.append(Padding(Group(_status_line(self.pulse), _latency_line(self.pulse)), (1, 2)))
        parts.append(Padding(self._fills(), (0, 2)))
        parts.append(Padding(self._story(), (1, 2)))
        return Group(*parts)

    def _head(self) -> RenderableType:
        return Rule(
            Text.assemble(("accountd demo", "bold"), ("  no keys, no network", "dim")),
            align="left",
            style="dim",
        )

    def _fills(self) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim", expand=False)
        for name in ("fill", "side"):
            table.add_column(name, min_width=8)
        for name in ("quantity", "price", "fill → commit", "fill → hook"):
            table.add_column(name, justify="right", min_width=12)
        table.add_column("")
        for fill in self.fills:
            table.add_row(
                fill.symbol, Text(fill.side, "green" if fill.side == "BUY" else "red"), str(fill.quantity),
                str(fill.price), *(("", "") if fill.late else (_ms(fill.commit_ms), _ms(fill.hook_ms))),
                Text("found by REST", "yellow") if fill.late else "",
            )  # fmt: skip
        return table

    def _story(self) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column(justify="right", style="dim")
        table.add_column()
        for said in self.said[-12:]:
            table.add_row(f"{said.at:.1f} s", Text(said.text, TONES[said.tone]))
        return table

    def _end(self, end: Finished) -> None:
        self.console.print(self._head())
        if self.opened:
            self.console.print(Text(f"  exchange {self.opened.exchange}   seed {self.opened.seed}", "dim"))
        self.console.print(Padding(self._story(), (1, 2)))
        self.console.print(Padding(_verdict_table(end.verdict), (0, 2)))
        self.console.print(Padding(_latency_table(end), (0, 2)))
        for problem in problems(end.verdict):
            self.console.print(Text("  " + problem, "red"))
        style = "bold green" if end.verdict.exact else "bold red"
        self.console.print(Text("  " + sentence(end), style))
        self.console.print(Text("  " + whereabouts(end), "dim"))


class PlainView:
    """Writes a line for what matters; nothing moves, nothing is coloured."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.next_pulse = 0.0
        self.fills_told = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.out.flush()

    def show(self, event: Event) -> None:
        """Write what the event has to say."""
        match event:
            case Opened():
                self._line(
                    f"accountd demo: no keys, no network; exchange {event.exchange}, seed {event.seed}"
                )
            case Said():
                self._line(f"{event.at:6.1f} s  {event.text}")
            case FillCame():
                self._fill(event)
            case Pulse():
                self._pulse(event)
            case Finished():
                self._end(event)

    def _fill(self, fill: FillCame) -> None:
        """Write the first fills one by one; later the counts tell enough."""
        self.fills_told += 1
        if self.fills_told <= FILLS_SHOWN:
            how = "found by REST" if fill.late else f"commit {_ms(fill.commit_ms)}  hook {_ms(fill.hook_ms)}"
            self._line(
                f"{fill.at:6.1f} s  fill {fill.symbol} {fill.side} {fill.quantity} at {fill.price}  {how}"
            )

    def _pulse(self, pulse: Pulse) -> None:
        if pulse.at >= self.next_pulse:
            self.next_pulse = pulse.at + 2
            self._line(f"{pulse.at:6.1f} s  {_status_line(pulse).plain}")

    def _end(self, end: Finished) -> None:
        self._line("")
        self._line(f"{'':<10}{'there':>8}{'here':>8}{'missing':>9}{'twice':>7}{'differ':>8}")
        for line in end.verdict.lines:
            mark = "exact" if line.exact else "WRONG"
            self._line(
                f"{line.what:<10}{line.there:>8}{line.here:>8}{line.missing:>9}{line.duplicated:>7}"
                f"{line.differing:>8}  {mark}"
            )
        self._line("")
        self._line(f"fill to commit  p50 {_ms(end.pulse.commit.p50)}  p99 {_ms(end.pulse.commit.p99)}")
        self._line(f"fill to hook    p50 {_ms(end.pulse.hook.p50)}  p99 {_ms(end.pulse.hook.p99)}")
        for problem in problems(end.verdict):
            self._line(problem)
        self._line(sentence(end))
        self._line(whereabouts(end))

    def _line(self, text: str) -> None:
        self.out.write(text.rstrip() + "\n")
        self.out.flush()


def problems(verdict: Verdict) -> list[str]:
    """Return what is wrong, with examples."""
    return [
        *verdict.faults,
        *(f"{line.what}: {example}" for line in verdict.lines for example in line.examples),
    ]


def sentence(end: Finished) -> str:
    """Return the verdict in one sentence."""
    if not end.verdict.exact:
        return "NOT EXACT: the record differs from the exchange's own truth."
    fills = next(line.there for line in end.verdict.lines if line.what == "fills")
    return f"Exact: all {fills} fills are here once and rang once; {end.late} of them were found over REST."


def whereabouts(end: Finished) -> str:
    """Say where the record is, or that it is gone."""
    return f"The record: {end.database}" if end.kept else "The record was thrown away; --keep keeps it."


def _status_line(pulse: Pulse) -> Text:
    return Text.assemble(
        (f"{pulse.state:<10}", STATES.get(pulse.state, "bold")),
        f"  fills {pulse.there} there, {pulse.here} here, {pulse.rung} rang",
        (f"   open gaps {pulse.open_gaps}", "red" if pulse.open_gaps else "dim"),
    )


def _latency_line(pulse: Pulse) -> Text:
    return Text(f"fill → commit {_pair(pulse.commit)}   fill → hook {_pair(pulse.hook)}", "dim")


def _verdict_table(verdict: Verdict) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    table.add_column("verdict", min_width=10)
    for name in ("at the exchange", "here", "missing", "twice", "differ"):
        table.add_column(name, justify="right")
    table.add_column("")
    for line in verdict.lines:
        table.add_row(
            line.what, str(line.there), str(line.here), *(_count(n) for n in _wrongs(line)),
            Text("✓ exact", "green") if line.exact else Text("✗ wrong", "bold red"),
        )  # fmt: skip
    return table


def _latency_table(end: Finished) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    table.add_column("latency", min_width=10)
    for name in ("p50", "p99"):
        table.add_column(name, justify="right", min_width=9)
    for name, latency in (
        ("fill → durable commit", end.pulse.commit),
        ("fill → signed webhook", end.pulse.hook),
    ):
        table.add_row(name, _ms(latency.p50), _ms(latency.p99))
    return table


def _wrongs(line: Line) -> tuple[int, int, int]:
    return line.missing, line.duplicated, line.differing


def _count(number: int) -> Text:
    return Text(str(number), "bold red" if number else "dim")


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"


def _pair(latency: Latency) -> str:
    return f"p50 {_ms(latency.p50)} p99 {_ms(latency.p99)}"
