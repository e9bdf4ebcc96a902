"""The logs: one line an event, for people on a terminal and as JSON elsewhere, with every secret masked."""

import json
import logging
import sys
from collections.abc import Iterable
from typing import Any, TextIO
from urllib.parse import quote, quote_plus, urlsplit

import structlog
from pydantic import SecretStr

from accountd.config import Settings

MASK = "***"
CHATTY = ("httpx", "httpcore", "websockets", "apscheduler", "uvicorn", "asyncio", "alembic")
_secrets: set[str] = set()
_ordered: list[str] = []


def hide(*secrets: str | SecretStr | None) -> None:
    """Mask these values from now on, as they are and as URLs and JSON would write them."""
    for secret in secrets:
        value = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
        if value:
            _secrets.update((value, quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1]))
    # The longest first: a secret that contains another must not leave a tail behind.
    _ordered[:] = sorted(_secrets, key=len, reverse=True)


def hide_settings(settings: Settings) -> None:
    """Mask every secret that the settings hold, also the password inside the database's address."""
    password = urlsplit(settings.database_url).password
    hide(password, settings.web.token, *settings.journal.anchor_secret)
    for account in settings.accounts.values():
        hide(account.api_key, account.api_secret, account.private_key_passphrase)
    for hook in settings.hooks.values():
        hide(*hook.hidden())


def mask(text: str) -> str:
    """Return `text` without any hidden value."""
    for secret in _ordered:
        if secret in text:
            text = text.replace(secret, MASK)
    return text


class StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to what is standard error at the moment, so that lines do not tear a progress bar."""

    @property
    def stream(self) -> TextIO:
        """Return standard error."""
        return sys.stderr

    @stream.setter
    def stream(self, stream: TextIO) -> None:
        """Ignore what it was when the handler was made."""


class MaskingFormatter(structlog.stdlib.ProcessorFormatter):
    """Render a line, then mask it, so that it does not matter which way a secret came in."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return mask(super().format(record))


def setup(level: str = "info", format: str = "auto", stream: TextIO | None = None) -> None:
    """Send structlog and the standard library's logging through one masking handler, to stderr by default.

    `format` is auto, json or console; auto means console on a terminal and JSON elsewhere.
    """
    on_terminal = (stream or sys.stderr).isatty()
    console = format == "console" or (format == "auto" and on_terminal)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.StackInfoRenderer(),
    ]
    handler = logging.StreamHandler(stream) if stream else StderrHandler()
    handler.setFormatter(
        MaskingFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(console=console, colors=on_terminal),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    _quieten(CHATTY)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _renderers(*, console: bool, colors: bool) -> Iterable[Any]:
    """Return what turns an event into text; a plain traceback, because a rich one prints local variables."""
    if console:
        yield structlog.dev.ConsoleRenderer(
            colors=colors, timestamp_key="time", exception_formatter=structlog.dev.plain_traceback
        )
    else:
        yield structlog.processors.format_exc_info
        yield structlog.processors.EventRenamer("message")
        yield structlog.processors.JSONRenderer(default=str)


def _quieten(names: Iterable[str]) -> None:
    """Let libraries speak only from WARNING up: at INFO some write URLs, which hold keys."""
    for name in names:
        logging.getLogger(name).setLevel(logging.WARNING)
