"""What is written for users names exactly what exists."""

import re
from pathlib import Path

import pytest

from accountd import config

ROOT = Path(__file__).parents[1]
EXAMPLE = (ROOT / ".env.example").read_text()
LINE = re.compile(r"^(?:# )?(ACCOUNTD_[A-Z_]+)=(.*)$", re.MULTILINE)
WRITTEN = dict(LINE.findall(EXAMPLE))
NO_DEFAULT = {
    "ACCOUNTD_ACCOUNTS__MAIN__VENUE",
    "ACCOUNTD_ACCOUNTS__MAIN__API_KEY",
    "ACCOUNTD_ACCOUNTS__MAIN__API_SECRET",
    "ACCOUNTD_ACCOUNTS__MAIN__PRIVATE_KEY_FILE",
    "ACCOUNTD_HOOKS__OPS__TYPE",
    "ACCOUNTD_HOOKS__OPS__URL",
    "ACCOUNTD_HOOKS__OPS__COMMAND",
    "ACCOUNTD_HOOKS__OPS__CREDENTIALS_FILE",
}
NEEDED = {
    "ACCOUNTD_ACCOUNTS__MAIN__VENUE": "binance-usdm",
    "ACCOUNTD_ACCOUNTS__MAIN__API_KEY": "key",
    "ACCOUNTD_ACCOUNTS__MAIN__API_SECRET": "secret",
    "ACCOUNTD_HOOKS__OPS__TYPE": "log",
}
SECTIONS = {
    "accounts": ("ACCOUNTS__MAIN", config.Account),
    "hooks": ("HOOKS__OPS", config.Hook),
    "web": ("WEB", config.Web),
    "journal": ("JOURNAL", config.Journal),
    "market": ("MARKET", config.Market),
}


def existing() -> set[str]:
    """Return every setting of the model as it is written in the environment."""
    names = {"ACCOUNTD_CONFIG"}
    for field in config.Settings.model_fields:
        middle, below = SECTIONS.get(field, (field, None))
        for child in below.model_fields if below else [""]:
            names.add("__".join(part for part in ("ACCOUNTD_" + middle, child) if part).upper())
    return names


def test_example_names_every_setting():
    """`.env.example` lists each setting that exists."""
    assert existing() - set(WRITTEN) == set()


def test_example_names_nothing_else():
    """`.env.example` lists no setting that does not exist."""
    assert set(WRITTEN) - existing() == set()


def test_example_lists_each_setting_once():
    """No setting is explained in two places."""
    names = [name for name, _ in LINE.findall(EXAMPLE)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", sorted(set(WRITTEN) - NO_DEFAULT - {"ACCOUNTD_CONFIG"}))
def test_example_shows_the_default(name, tmp_path):
    """Writing a default out changes nothing."""
    plain = config.load(NEEDED, env_file=None, cwd=tmp_path)
    assert config.load(NEEDED | {name: WRITTEN[name]}, env_file=None, cwd=tmp_path) == plain


def test_example_is_usable_as_it_is(tmp_path):
    """A copy of `.env.example` with a key filled in is a complete configuration."""
    (tmp_path / ".env").write_text(EXAMPLE)
    settings = config.load({}, cwd=tmp_path)
    assert list(settings.accounts) == ["main"]
    assert settings.hooks == {}


def test_example_names_every_alert_type():
    """`.env.example` lists each type of alert that a hook may ask for."""
    words = set(re.findall(r"[\w.]+", EXAMPLE))
    assert set(config.ALERT_TYPES) - words == set()


def test_example_names_every_venue_and_sink():
    """`.env.example` names each venue and sink of this version."""
    assert [word for word in (*config.VENUES, *config.SINKS) if word not in EXAMPLE] == []
