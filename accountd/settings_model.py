"""What can be set: every setting with its type, its default and what it means."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from accountd import settings_values as values
from accountd.settings_hooks import ALERT_TYPES, SINKS, Hook
from accountd.settings_journal import Journal
from accountd.settings_market import Market
from accountd.settings_rules import Size
from accountd.settings_section import Problem, Section

VENUES = (
    "binance-spot",
    "binance-usdm",
    "binance-coinm",
    "binance-margin",
    "binance-isolated-margin",
    "binance-portfolio",
    "binance-options",
    "binance-us",
)
__all__ = [
    "ALERT_TYPES",
    "SINKS",
    "VENUES",
    "Account",
    "Hook",
    "Section",
    "Settings",
    "Web",
    "hide_password",
]

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "json", "console"]
Environment = Literal["live", "testnet", "demo"]
StreamForm = Literal["query", "path", "combined"]


def _seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def _symbols(written: object) -> tuple[str, ...]:
    words = values.read_words(written)
    if any(re.search(r"\s", word) for word in words):
        raise ValueError('a list of symbols such as ["BTCUSDT"]')
    return tuple(word.upper() for word in words)


class Account(Section):
    """One account at one venue; its name is the key in `Settings.accounts`."""

    venue: Annotated[str, values.one_of(*VENUES)]
    """Which venue and market."""
    api_key: Annotated[SecretStr, values.PlainValidator(values.read_api_key)]
    """The API key; it needs the right to read and no other."""
    api_secret: values.Secret = None
    """The secret of an HMAC key."""
    private_key_file: Path | None = None
    """The PEM file of an Ed25519 or RSA key, instead of a secret."""
    private_key_passphrase: values.Passphrase = None
    """What opens the PEM file, if it is encrypted."""
    environment: Annotated[Environment, values.one_of("live", "testnet", "demo")] = "live"
    """Which of the venue's environments."""
    rest_url: values.HttpBase = None
    """scheme://host[:port] of REST; None for the environment's own."""
    stream_url: values.SocketBase = None
    """scheme://host[:port] of the streams; None for the environment's own."""
    ws_api_url: values.SocketBase = None
    """scheme://host[:port] of the WebSocket API; None for the environment's own."""
    backfill: values.Backfill = timedelta(days=30)
    """How far back the first sync goes; None for all that the venue keeps."""
    symbols: Annotated[tuple[str, ...], values.PlainValidator(_symbols)] = ()
    """Symbols that are swept even when nothing else names them."""
    stream_form: Annotated[StreamForm, values.one_of("query", "path", "combined")] = "query"
    """How the listen key is written in the URL of a futures stream."""
    events: values.Words = ()
    """Names for the `events=` parameter of a futures stream; empty leaves it out."""
    logon: values.Truth = False
    """Log the WebSocket API connection on (Ed25519 keys only) instead of signing the subscription."""
    portfolio_pro: values.Truth = False
    """Open the extra stream of a Portfolio Margin Pro account, beside that of its USDⓈ-M futures."""

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with the key: there is exactly one, a file can be opened, it can log on."""
        key: object = None
        if self.api_secret and self.private_key_file:
            yield "private_key_file", "either API_SECRET or PRIVATE_KEY_FILE, not both"
        elif self.private_key_file:
            try:
                key = values.load_private_key(self.private_key_file, self.private_key_passphrase)
            except ValueError as refusal:
                yield "private_key_file", str(refusal)
        elif not self.api_secret:
            yield "api_secret", "required (or PRIVATE_KEY_FILE for an Ed25519 or RSA key)"
        if self.logon and not isinstance(key, Ed25519PrivateKey):
            yield "logon", "needs an Ed25519 key in PRIVATE_KEY_FILE; false signs the subscription instead"


class Web(Section):
    """The read-only web listener."""

    listen: values.Listen = ("127.0.0.1", 8787)
    """Host and port; None turns the web off."""
    token: values.Secret = None
    """What a reader must present; required when other machines can reach the listener."""

    def problems(self) -> Iterator[Problem]:
        """Yield the lack of a token where strangers could read."""
        if self.listen and not self.token and not values.is_loopback(self.listen[0]):
            yield "token", f"required when WEB__LISTEN is not a loopback address ({self.listen[0]})"


class Settings(BaseSettings, Section):
    """All settings of one accountd."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    database_url: Annotated[values.DatabaseUrl, Field(repr=False)] = "sqlite:///accountd.db"
    """Where the record is kept."""
    accounts: dict[str, Account] = {}
    """The accounts that are followed, by lower-case name."""
    hooks: dict[str, Hook] = {}
    """Where alerts go, by lower-case name."""
    web: Web = Web()
    """The read-only web listener."""
    journal: Journal = Journal()
    """What becomes of the journal."""
    market: Market = Market()
    """What is recorded of the public market."""
    keepalive_interval: values.KeepAlive = timedelta(minutes=30)
    """Time between renewals of a listen key."""
    sweep_interval: values.Duration = timedelta(minutes=5)
    """Time between slow sweeps of REST history while the stream is live."""
    settle_after: values.Duration = _seconds(10)
    """How long after a reconnect the seam is swept once more, because replicas of the venue lag."""
    rotate_after: values.Duration = timedelta(hours=23)
    """Age at which a stream is replaced by a new one."""
    stale_after: values.Duration = _seconds(60)
    """Silence after which a cheap REST snapshot is compared with what is held, and the time between two looks
    at open orders."""
    weight_share: values.Share = 0.5
    """Part of the venue's request limit that may be used, in (0, 1]."""
    reconnect_max: values.Duration = _seconds(30)
    """Longest wait before the next attempt to connect."""
    connect_budget: values.Budget = (150, timedelta(minutes=5))
    """How many connections may be opened to one host in how long."""
    request_timeout: values.Duration = _seconds(10)
    """How long one REST request may take."""
    recheck_after: values.Duration = _seconds(60)
    """When a refused key is tried again."""
    ring_size: Annotated[int, values.whole(100, 10_000_000)] = 20_000
    """Frames held in memory while the database is slow; beyond that a gap opens."""
    disk_low: Size = 10**9
    """Free bytes where the record is, below which `disk.low` rings."""
    key_expiring: values.Duration = timedelta(days=7)
    """How long before a key ends `key.expiring` rings."""
    log_level: Annotated[LogLevel, values.one_of("debug", "info", "warning", "error")] = "info"
    """The least severe message that is logged."""
    log_format: Annotated[LogFormat, values.one_of("auto", "json", "console")] = "auto"
    """How logs look; auto means console on a terminal and JSON elsewhere."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the layers that `from_layers` brings, first wins; otherwise only what the caller passes."""
        layers = init_settings().get("layers")
        if layers is None:
            return (init_settings,)
        return tuple(InitSettingsSource(settings_cls, init_kwargs=layer) for layer in layers)

    @classmethod
    def from_layers(cls, *layers: dict[str, Any]) -> "Settings":
        """Merge nested layers of written settings, the first wins, and read them."""
        written: dict[str, Any] = {"layers": layers}
        return cls(**written)

    def problems(self) -> Iterator[Problem]:
        """Yield hooks that name accounts which do not exist."""
        for name, hook in self.hooks.items():
            unknown = [account for account in hook.accounts if account not in ("*", *self.accounts)]
            if unknown:
                known = ", ".join(sorted(self.accounts)) or "none is configured"
                yield f"hooks.{name}.accounts", f"{unknown[0]} is no account; accounts: {known}"

    @property
    def database_shown(self) -> str:
        """The database's address without its password, for logs and screens."""
        return hide_password(self.database_url)


def hide_password(url: str) -> str:
    """Return `url` with user and password replaced, also when it is too broken to be parsed."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    place = rest.rpartition("@")[2] if "@" in rest else rest
    place, question, query = place.partition("?")
    hidden = f"{scheme}://***@{place}" if "@" in rest else f"{scheme}://{place}"
    return hidden + question + "..." if query else hidden
