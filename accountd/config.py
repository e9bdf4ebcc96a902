"""The settings of accountd: read, checked, and explained in one line each where they are wrong."""

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from accountd import settings_source as source
from accountd.errors import SettingsError
from accountd.settings_journal import Journal
from accountd.settings_market import Market
from accountd.settings_model import (
    ALERT_TYPES,
    SINKS,
    VENUES,
    Account,
    Hook,
    Settings,
    Web,
    hide_password,
)
from accountd.settings_values import load_private_key

__all__ = [
    "ALERT_TYPES",
    "SINKS",
    "VENUES",
    "Account",
    "Hook",
    "Journal",
    "Market",
    "Settings",
    "SettingsError",
    "Web",
    "hide_password",
    "load",
    "load_private_key",
]

SECTIONS: dict[str, type[BaseModel]] = {
    "accounts": Account, "hooks": Hook, "web": Web, "journal": Journal, "market": Market,
}  # fmt: skip
NAMED = ("accounts", "hooks")
SECRET = re.compile(r"secret|passphrase|token|api_key|command")  # in the name of what holds one, or may
NAME = re.compile(r"[a-z0-9_-]+")
Place = tuple[str, ...]


def load(
    environ: Mapping[str, str] | None = None,
    *,
    need_accounts: bool = True,
    env_file: str | None = ".env",
    cwd: str | Path | None = None,
) -> Settings:
    """Read all settings: the environment wins over `.env`, that over TOML, that over the defaults.

    Relative names of files are looked up in `cwd`. Commands that only read the database pass
    `need_accounts=False`: accounts and hooks that are not usable are then left out instead of refused.

    Raises:
        SettingsError: with one line for each value that is not usable.
    """
    layers = _layers(os.environ if environ is None else environ, env_file, Path(cwd or "."))
    lines = [line for layer in layers for line in layer.problems]
    if not need_accounts:
        left_out = tuple(_setting((kind,)) for kind in NAMED)
        lines = [line for line in lines if not line.startswith(left_out)]
    trees = [layer.tree for layer in layers]
    settings, found = _read(trees)
    if not need_accounts and any(path[0] in NAMED for path, _ in found):
        trees = [{key: value for key, value in tree.items() if key not in NAMED} for tree in trees]
        settings, found = _read(trees)
    lines += [line for _, line in found]
    if not lines and need_accounts and settings is not None and not settings.accounts:
        lines.append(
            "ACCOUNTD_ACCOUNTS__<NAME>__VENUE: required: no account is configured; "
            f"one of {', '.join(VENUES)}"
        )
    if lines or settings is None:
        raise SettingsError(*lines)
    return settings


def _layers(environ: Mapping[str, str], env_file: str | None, cwd: Path) -> list[source.Layer]:
    """Read the three sources, the strongest first."""
    written = source.read_dotenv(cwd / env_file) if env_file else {}
    either = {key.upper(): value for key, value in {**written, **environ}.items() if value}
    config = either.get(source.CONFIG)
    toml = source.read_toml(cwd / (config or "accountd.toml"), required=config is not None)
    layers = [source.read_environment(environ, "environment"), source.read_environment(written, ".env"), toml]
    for layer in layers:
        accounts = layer.tree.get("accounts")
        for account in accounts.values() if isinstance(accounts, dict) else ():
            if isinstance(account, dict) and account.get("private_key_file"):
                account["private_key_file"] = cwd / Path(str(account["private_key_file"])).expanduser()
        journal = layer.tree.get("journal")
        if isinstance(journal, dict):
            for name in [name for name in ("key_file", "anchor_file") if journal.get(name)]:
                journal[name] = cwd / Path(str(journal[name])).expanduser()
    return layers


def _read(trees: list[dict[str, Any]]) -> tuple[Settings | None, list[tuple[Place, str]]]:
    """Return the settings, or the place and the line of each problem."""
    found = [problem for tree in trees for problem in _bad_names(tree)]
    try:
        settings = Settings.from_layers(*trees)
    except ValidationError as refusal:
        for error in refusal.errors(include_url=False, include_input=False):
            found += _explain(error, trees)
        return None, list(dict.fromkeys(found))
    return (None if found else settings), list(dict.fromkeys(found))


def _bad_names(tree: dict[str, Any]) -> Iterator[tuple[Place, str]]:
    """Yield accounts and hooks whose names cannot be written everywhere that a name is used."""
    for kind in NAMED:
        named = tree.get(kind)
        for name in named if isinstance(named, dict) else ():
            if not NAME.fullmatch(name):
                yield (kind, name), f"{_setting((kind,))}__{name.upper()}: a name has only a-z 0-9 _ and -"


def _explain(error: Any, trees: list[dict[str, Any]]) -> Iterator[tuple[Place, str]]:
    """Yield a line for each thing that one pydantic error says."""
    path = tuple(str(step) for step in error["loc"])
    kind = error["type"]
    if kind == "problems":
        for field, allowed in error["ctx"]["problems"]:
            place = (*path, *field.split("."))
            yield place, _line(place, allowed, trees)
    elif kind == "extra_forbidden":
        yield path, _unknown(path)
    elif kind in ("model_type", "dict_type", "model_attributes_type"):
        below = _setting((*_example(path), "..."))
        yield path, f"{_setting(path)}: not a setting by itself; settings are {below}"
    elif kind == "missing":
        yield path, f"{_setting(path)}: required{_hint(path)}"
    elif kind == "value_error":
        yield path, _line(path, str(error["ctx"]["error"]), trees)
    else:
        yield path, _line(path, error["msg"], trees)


def _example(path: Place) -> Place:
    return (*path, "<name>") if path[-1] in NAMED else path


def _hint(path: Place) -> str:
    choices = {"venue": VENUES, "type": SINKS}.get(path[-1])
    return f": one of {', '.join(choices)}" if choices else ""


def _setting(path: Place) -> str:
    """Return the name of a setting as it is written in the environment."""
    return source.PREFIX + source.DELIMITER.join(step if step == "<name>" else step.upper() for step in path)


def _unknown(path: Place) -> str:
    """Name a key that is no setting, and the one that was probably meant; never its value."""
    model = SECTIONS.get(path[0], Settings) if len(path) > 1 else Settings
    near = difflib.get_close_matches(path[-1], list(model.model_fields), n=1)
    meant = f"; did you mean {_setting((*path[:-1], near[0]))}?" if near else ""
    return f"{_setting(path)}: not a setting{meant}"


def _line(path: Place, allowed: str, trees: list[dict[str, Any]]) -> str:
    """Compose the line about one value; secrets and what may hold one are not shown."""
    value = _written(path, trees)
    name = _setting(path)
    if value is None or value == "" or isinstance(value, dict):  # a group may hold secrets
        return f"{name}: {allowed}"
    if SECRET.search(path[-1]):
        return f"{name}: the value (not shown) is not allowed: {allowed}"
    shown = str(value) if isinstance(value, (str, Path)) else repr(value)
    if "url" in path[-1]:
        shown = _place(shown, keep_path=path[-1] == "database_url")
    return f"{name}: {shown[:80]!r} is not allowed: {allowed}"


def _place(url: str, *, keep_path: bool) -> str:
    """Return the part of an address that holds no secret: hooks of chat services carry theirs in the path."""
    hidden = hide_password(url)
    if keep_path:
        return hidden
    scheme, separator, rest = hidden.partition("://")
    if scheme not in ("http", "https", "ws", "wss"):  # the address of a chat service begins with its token
        return f"{scheme}{separator}{'...' if separator else ''}"
    place, slash, _ = rest.partition("/")
    return f"{scheme}{separator}{place}{slash}{'...' if slash else ''}"


def _written(path: Place, trees: list[dict[str, Any]]) -> Any:
    """Return what the strongest layer wrote at `path`."""
    for tree in trees:
        value: Any = tree
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        if value is not None:
            return value
    return None
