"""The settings of the journal: how long its bytes are kept, who signs it, where its checkpoints go."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from accountd import settings_values as values
from accountd.settings_section import Problem, Section


class Journal(Section):
    """What becomes of the journal."""

    keep: values.Duration | None = None
    """Age at which the raw bytes of a row are deleted; None keeps them for ever."""
    key_file: Path | None = None
    """The PEM file of the key that signs checkpoints; it is made when it is not there."""
    checkpoint_every: values.Duration = timedelta(minutes=5)
    """Longest time between checkpoints of a journal that grows."""
    checkpoint_rows: Annotated[int, values.whole(1, 10_000_000)] = 10_000
    """New rows after which a checkpoint is signed at once."""
    anchor_file: Path | None = None
    """A file, best on another volume, to which every checkpoint is appended."""
    anchor_url: Annotated[values.HookUrl, Field(repr=False)] = None
    """Where every checkpoint is posted to."""
    anchor_secret: values.SigningSecrets = ()
    """Signing secrets (whsec_...) of that webhook."""
    anchor_allow_private: values.Truth = False
    """Let http:// and private or loopback targets through."""

    def problems(self) -> Iterator[Problem]:
        """Yield targets that are not allowed."""
        if self.anchor_url is None:
            return
        if not values.is_web_address(self.anchor_url):
            yield "anchor_url", "an address such as https://example.com/hook"
            return
        url = urlsplit(self.anchor_url)
        if url.scheme not in ("https", "http"):
            yield "anchor_url", "an https:// address"
        elif not self.anchor_allow_private and url.scheme != "https":
            yield "anchor_url", "an https:// address (ANCHOR_ALLOW_PRIVATE=true lets http:// through)"
        elif not self.anchor_allow_private and values.is_private(url.hostname or ""):
            yield "anchor_url", "a public address (ANCHOR_ALLOW_PRIVATE=true lets private targets through)"
