"""Pages out of templates: everything that was told is escaped, every number and time is written one way."""

import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from accountd import __version__
from accountd.core.money import money_text
from accountd.web.params import write_time

FOLDER = Path(__file__).resolve().parent
STATIC_FOLDER = FOLDER / "static"
# A word, its tone, and a sign of its own: colour alone tells nothing to those who do not see it.
SIGNS = {
    "LIVE": ("good", "●"), "SYNCING": ("warn", "◐"), "CONNECTING": ("warn", "○"), "CLOSED": ("bad", "✕"),
    "not followed": ("dim", "–"),
    "NEW": ("calm", "○"), "PARTIALLY_FILLED": ("warn", "◐"), "FILLED": ("good", "●"),
    "CANCELED": ("dim", "✕"), "REJECTED": ("bad", "!"),
    "EXPIRED": ("dim", "◇"), "EXPIRED_IN_MATCH": ("dim", "◇"),
    "pending": ("warn", "◔"), "delivered": ("good", "✓"), "suppressed": ("dim", "–"), "dead": ("bad", "✕"),
    "firing": ("bad", "!"), "resolved": ("good", "✓"),
    "info": ("calm", "i"), "warning": ("warn", "!"), "error": ("bad", "✕"),
    "open": ("bad", "!"), "closed": ("good", "✓"),
    "BUY": ("buy", "▲"), "SELL": ("sell", "▼"),
}  # fmt: skip


class Renderer:
    """Makes pages; `logged_in` says that readers come with a token."""

    def __init__(self, *, logged_in: bool) -> None:
        self.env = Environment(
            loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True, auto_reload=False,
        )  # fmt: skip
        self.env.filters |= {
            "moment": moment, "ago": ago, "amount": amount, "tone": tone, "sign": sign, "signed": signed,
            "seconds": seconds, "path": path,
        }  # fmt: skip
        self.env.globals |= {"static": _addresses(), "version": __version__, "with_query": with_query}
        self.logged_in = logged_in

    def page(self, template: str, **told: Any) -> str:
        """Return a page."""
        told.setdefault("now", datetime.now(UTC))
        return self.env.get_template(template).render(told)

    def login(self, where: str, wrong: bool) -> str:
        """Return the form that asks for the token; `where` is the path that was wanted."""
        return self.page("login.html", where=where, wrong=wrong)


def _addresses() -> dict[str, str]:
    """Return the address of each static file, which changes with its content."""
    found = {}
    for file in sorted(STATIC_FOLDER.rglob("*.*")):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
        name = file.relative_to(STATIC_FOLDER).as_posix()
        found[name] = f"/static/{name}?v={digest}"
    return found


def moment(value: datetime | None, now: datetime | None = None) -> Markup:
    """Write a moment for people: the time, with the day when it is not today's."""
    if value is None:
        return Markup("<span class=none>–</span>")
    value, today = value.astimezone(UTC), (now or datetime.now(UTC)).date()
    shown = value.strftime("%H:%M:%S") if value.date() == today else value.strftime("%d %b %H:%M:%S")
    if value.year != today.year:
        shown = value.strftime("%d %b %Y %H:%M")
    full = value.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(write_time(value), full, shown)


def ago(value: datetime | None, now: datetime | None = None) -> Markup:
    """Write how long ago something was; a script keeps it true."""
    if value is None:
        return Markup("<span class=none>–</span>")
    passed = ((now or datetime.now(UTC)) - value).total_seconds()
    full = value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") + " UTC"
    return Markup('<time data-ago datetime="{}" title="{}">{}</time>').format(
        write_time(value), full, seconds(max(0.0, passed))
    )


def seconds(value: float | None) -> str:
    """Write a stretch of time in the largest unit that still says something."""
    if value is None:
        return "–"
    if 0 < value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 60:
        return f"{value:.1f} s" if value and value < 10 else f"{value:.0f} s"
    if value < 3600:
        return f"{value // 60:.0f} m {value % 60:02.0f} s" if value < 600 else f"{value // 60:.0f} m"
    if value < 86400:
        return f"{value // 3600:.0f} h {value % 3600 // 60:02.0f} m"
    return f"{value // 86400:.0f} d {value % 86400 // 3600:.0f} h"


def amount(value: Decimal | None) -> Markup:
    """Write an amount with its exact digits; what follows the last one that counts is paler."""
    if value is None:
        return Markup("<span class=none>–</span>")
    text = money_text(value)
    kept = text.rstrip("0").rstrip(".") if "." in text else text
    text, kept = text.replace("-", "−"), kept.replace("-", "−")
    if kept == text:
        return Markup("<span class=num>{}</span>").format(text)
    return Markup("<span class=num>{}<span class=zeros>{}</span></span>").format(kept, text[len(kept) :])


def signed(value: Decimal | None) -> Markup:
    """Write a profit or a loss: with its sign, and a tone that repeats it."""
    if value is None:
        return Markup("<span class=none>–</span>")
    text = money_text(value)
    kept = text.rstrip("0").rstrip(".") if "." in text else text
    shown = ("+" if value > 0 else "") + kept.replace("-", "−")
    kind = "good" if value > 0 else "bad" if value < 0 else "dim"
    return Markup('<span class="num {}">{}</span>').format(kind, shown)


def tone(word: Any) -> str:
    """Return the tone of a word."""
    return SIGNS.get(str(word), ("dim", ""))[0]


def sign(word: Any) -> Markup:
    """Write a word with its sign and its tone."""
    kind, mark = SIGNS.get(str(word), ("dim", "·"))
    return Markup('<span class="chip {}"><i aria-hidden=true>{}</i>{}</span>').format(kind, mark, word)


def path(value: Any) -> str:
    """Write a text as one part of a path."""
    return quote(str(value), safe="")


def with_query(base: str, **told: Any) -> str:
    """Return an address with a query; what is None or empty is left out."""
    query = urlencode({name: value for name, value in told.items() if value not in (None, "")})
    return f"{base}?{query}" if query else base
