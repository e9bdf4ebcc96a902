"""What can be set for a hook: where alerts go, which, and when."""

import re
from collections.abc import Iterator
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field

from accountd import settings_rules as rules_of
from accountd import settings_values as values
from accountd.settings_section import Problem, Section

LONG = 8  # characters from which on a part of an address may be a token
NATS = ("nats", "tls", "ws", "wss")
SINKS = ("log", "webhook", "command", "apprise", "nats")
ALERT_TYPES = (
    "fill",
    "order.new",
    "order.filled",
    "order.canceled",
    "order.rejected",
    "order.expired",
    "balance.changed",
    "transfer",
    "position.changed",
    "margin.call",
    "liquidation",
    "stream.down",
    "stream.live",
    "gap.opened",
    "gap.closed",
    "finding.opened",
    "key.rights",
    "key.expiring",
    "exchange.down",
    "exchange.up",
    "database.down",
    "database.up",
    "disk.low",
    "disk.ok",
    "hook.dead",
    "hook.alive",
)


def _alert_types(written: object) -> tuple[str, ...]:
    words = values.read_words(written)
    if unknown := [word for word in words if word not in (*ALERT_TYPES, "*")]:
        raise ValueError(f"{unknown[0]} is no alert; the list may hold {', '.join(ALERT_TYPES)}, or *")
    return words


def _names(written: object) -> tuple[str, ...]:
    return tuple(word.lower() for word in values.read_words(written))


def _is_service(url: str) -> bool:
    """Tell whether Apprise knows what to do with an address; it is loaded only where it is used."""
    from apprise import Apprise

    return Apprise.instantiate(url, suppress_exceptions=True) is not None


AlertTypes = Annotated[tuple[str, ...], values.PlainValidator(_alert_types)]
Names = Annotated[tuple[str, ...], values.PlainValidator(_names)]


class Hook(Section):
    """One place that alerts go to; its name is the key in `Settings.hooks`."""

    type: Annotated[str, values.one_of(*SINKS)]
    """Which sink delivers."""
    url: Annotated[values.HookUrl, Field(repr=False)] = None
    """Where a webhook is posted to, an Apprise address, or a NATS server."""
    secret: values.SigningSecrets = ()
    """Signing secrets (whsec_...); the body is signed with each."""
    secret_next: values.SigningSecrets = ()
    """A second signing secret, for the time in which it replaces the first."""
    command: Annotated[values.Argv, Field(repr=False)] = ()
    """The program that a command hook starts, and its arguments; no shell."""
    subject: Annotated[str, values.PlainValidator(values.read_subject)] = "accountd"
    """How the subjects of a NATS hook begin."""
    credentials_file: Path | None = None
    """The .creds file for a NATS server."""
    on: AlertTypes = ("fill",)
    """Types of alert that ring here; `*` for all."""
    accounts: Names = ("*",)
    """Names of the accounts that ring here; `*` for all."""
    markets: rules_of.Markets = ()
    """Markets that ring here; empty for all."""
    symbols: rules_of.Patterns = ()
    """Patterns of symbols that ring here, `!` excludes; empty for all."""
    sides: rules_of.Sides = ()
    """Sides that ring here; empty for both."""
    min_notional: rules_of.Amount = None
    """Executions and orders worth less, in quote, do not ring."""
    liquidity: Annotated[Literal["any", "maker", "taker"], values.one_of("any", "maker", "taker")] = "any"
    """Whether only maker or only taker fills ring."""
    orders: Annotated[Literal["any", "manual", "bot"], values.one_of("any", "manual", "bot")] = "any"
    """Whether only orders placed by hand ring, or only those of programs."""
    manual_ids: values.Words = rules_of.MANUAL_IDS
    """Patterns of the client order ids of orders placed by hand."""
    late: Annotated[Literal["any", "late", "live"], values.one_of("any", "late", "live")] = "any"
    """Whether only what a sweep told first rings, or only what the stream did."""
    when: rules_of.When = None
    """An expression that must be true of the alert."""
    quiet: rules_of.QuietHours = None
    """Hours in which alerts are held back."""
    quiet_zone: rules_of.Zone = ZoneInfo("UTC")
    """The time zone of the quiet hours."""
    quiet_summary: values.Truth = False
    """Whether one summary comes after the quiet hours, instead of every alert."""
    rate: rules_of.Rate = None
    """How many alerts in how long; a summary stands for the rest."""
    group: Annotated[timedelta | None, values.PlainValidator(values.read_maybe_duration)] = None
    """How long conditions gather before one message tells them."""
    repeat: Annotated[timedelta | None, values.PlainValidator(values.read_maybe_duration)] = None
    """How often a condition that still holds is told again."""
    urgent: AlertTypes = ()
    """Types that neither quiet hours nor groups nor the rate hold back."""
    timeout: values.Duration = timedelta(seconds=10)
    """How long one attempt may take."""
    retry: values.Retry = (
        timedelta(seconds=5),
        timedelta(seconds=30),
        timedelta(minutes=2),
        timedelta(minutes=10),
        timedelta(hours=1),
        timedelta(hours=6),
        timedelta(hours=24),
    )
    """Waits between attempts; after the last the message is dead."""
    concurrency: Annotated[int, values.whole(1, 64)] = 4
    """How many messages are under way at once; those of one order never are."""
    allow_private: values.Truth = False
    """Let http:// and private or loopback targets through."""
    backfill: Annotated[Literal["skip", "send"], values.one_of("skip", "send")] = "skip"
    """Whether history from before the first start rings."""

    def hidden(self) -> Iterator[str]:
        """Yield what no log may show: signing secrets, and every long part of an address that may be one."""
        for secret in (*self.secret, *self.secret_next):
            yield secret.get_secret_value()
        if self.url is None:
            return
        place = self.url.partition("://")[2]
        if "@" in place:
            yield place.rpartition("@")[0]
        chat = self.type == "apprise"  # its addresses hold tokens where others hold a host
        parts = place if chat else "/".join(place.rpartition("@")[2].split("/")[1:])
        yield from (part for part in re.split(r"[/?&=@]", parts) if len(part) >= LONG)

    def problems(self) -> Iterator[Problem]:
        """Yield what the sink needs and lacks, and targets that are not allowed."""
        if self.type == "command" and not self.command:
            yield "command", "required for a command hook, such as /usr/bin/notify --urgent"
        if self.type == "apprise" and self.url is None:
            yield "url", "required for an Apprise hook, such as tgram://bot-token/chat-id"
        elif self.type == "apprise" and not _is_service(self.url or ""):
            yield "url", "an address that Apprise knows, such as tgram://bot-token/chat-id"
        if self.type == "nats" and not (self.url and values.is_web_address(self.url, NATS)):
            yield "url", "the address of a server such as nats://127.0.0.1:4222"
        if self.credentials_file is not None:
            yield from self._credentials(self.credentials_file.expanduser())
        if self.type == "webhook":
            yield from self._webhook()

    def _credentials(self, file: Path) -> Iterator[Problem]:
        if not file.is_file():
            yield "credentials_file", "a file that exists"
        elif find_spec("nkeys") is None:  # what signs with it
            yield "credentials_file", "needs one more package: pip install nkeys"

    def _webhook(self) -> Iterator[Problem]:
        if self.url is None:
            yield "url", "required for a webhook, such as https://example.com/hook"
            return
        if not values.is_web_address(self.url):
            yield "url", "an address such as https://example.com/hook"
            return
        url = urlsplit(self.url)
        if url.scheme not in ("https", "http"):
            yield "url", "an https:// address"
        elif not self.allow_private and url.scheme != "https":
            yield "url", "an https:// address (ALLOW_PRIVATE=true lets http:// through)"
        elif not self.allow_private and values.is_private(url.hostname or ""):
            yield "url", "a public address (ALLOW_PRIVATE=true lets private and loopback targets through)"
