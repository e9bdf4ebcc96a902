"""Where settings are written: the environment, `.env` and a TOML file, each read into one nested layer."""

import io
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from accountd.errors import SettingsError

PREFIX = "ACCOUNTD_"
DELIMITER = "__"
CONFIG = "ACCOUNTD_CONFIG"
NOT_SETTINGS = (CONFIG,)


@dataclass(slots=True)
class Layer:
    """One source of settings: nested values with lower-case keys, and lines about what cannot be nested."""

    name: str
    tree: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def read_environment(environ: Mapping[str, str | None], name: str) -> Layer:
    """Nest the variables that carry the prefix, in any case; all others belong to somebody else."""
    layer = Layer(name)
    for variable, value in sorted(environ.items()):
        upper = variable.upper()
        if upper.startswith(PREFIX) and upper not in NOT_SETTINGS and value is not None:
            _nest(layer, upper.removeprefix(PREFIX).lower().split(DELIMITER), value, upper)
    return layer


def _nest(layer: Layer, path: list[str], value: str, variable: str) -> None:
    branch = layer.tree
    for depth, step in enumerate(path[:-1], 1):
        child = branch.setdefault(step, {})
        if not isinstance(child, dict):
            above = PREFIX + DELIMITER.join(path[:depth]).upper()
            layer.problems.append(f"{variable}: not allowed beside a value of {above} itself")
            return
        branch = child
    if isinstance(branch.get(path[-1]), dict):
        layer.problems.append(f"{variable}: not a setting by itself; settings below it are set too")
        return
    branch[path[-1]] = value


def read_dotenv(path: Path) -> dict[str, str | None]:
    """Read a `.env` file if there is one.

    Raises:
        SettingsError: it is there and cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{path.name}: cannot be read; a text file in UTF-8 is allowed") from None
    # Values stay as written: "$" is common in passwords.
    return dict(dotenv_values(stream=io.StringIO(text), interpolate=False))


def read_toml(path: Path, *, required: bool) -> Layer:
    """Read a TOML file; keys in any case.

    Raises:
        SettingsError: it cannot be read, or is `required` and not there.
    """
    try:
        with path.open("rb") as file:
            return Layer(path.name, _lower_keys(tomllib.load(file)))
    except FileNotFoundError:
        if required:
            raise SettingsError(f"{CONFIG}: {str(path)!r} is not allowed: a TOML file that exists") from None
        return Layer(path.name)
    except OSError as refusal:
        raise SettingsError(f"{path.name}: cannot be read: {refusal.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path.name}: not valid TOML: the file is not UTF-8") from None
    except tomllib.TOMLDecodeError as refusal:
        raise SettingsError(f"{path.name}: not valid TOML: {refusal}") from None


def _lower_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key).lower(): _lower_keys(item) for key, item in value.items()}
    return value
