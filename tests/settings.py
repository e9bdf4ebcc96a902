"""Settings as a user would write them, read in an empty folder."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from accountd import config
from accountd.errors import SettingsError

MAIN = {
    "ACCOUNTS__MAIN__VENUE": "binance-usdm",
    "ACCOUNTS__MAIN__API_KEY": "the-api-key",
    "ACCOUNTS__MAIN__API_SECRET": "the-api-secret",
}
NO_SECRET = {name: value for name, value in MAIN.items() if not name.endswith("SECRET")}


@dataclass
class Settings:
    """The folder that settings are read in."""

    folder: Path

    def load(self, written=None, *, account=MAIN, **options):
        environ = {f"ACCOUNTD_{name}": value for name, value in (account | (written or {})).items()}
        return config.load(environ, cwd=self.folder, **options)

    def refused(self, written=None, **options):
        with pytest.raises(SettingsError) as refusal:
            self.load(written, **options)
        return list(refusal.value.lines)
