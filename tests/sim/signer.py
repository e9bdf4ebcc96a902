"""A plain client of the simulated venue for its tests: signs as the documents say, and nothing more."""

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx

TAPES = Path(__file__).parents[1] / "tapes" / "um"


def tape(name):
    """Load an official sample."""
    return json.loads((TAPES / f"{name}.json").read_text())


class Client:
    """Sends requests of one account to a simulated venue."""

    def __init__(self, http, credential, key=None, now=lambda: int(time.time() * 1000)):
        self.http, self.credential, self.key, self.now = http, credential, key, now

    def query(self, timestamp=None, **params):
        """Return a signed query string, percent-encoded before signing."""
        params["timestamp"] = self.now() if timestamp is None else timestamp
        text = urlencode(params)
        return f"{text}&signature={self.sign(text)}"

    def sign(self, text):
        """Sign with the HMAC secret, or with the private key if there is one."""
        if self.key is None:
            return hmac.new(self.credential.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        return quote(base64.b64encode(self.key(text.encode())).decode(), safe="")

    async def get(self, path, **params) -> httpx.Response:
        """GET a signed endpoint."""
        return await self.http.get(f"{path}?{self.query(**params)}", headers=self.headers)

    async def rows(self, path, **params):
        """GET a signed endpoint that must answer 200, and return its body."""
        reply = await self.get(path, **params)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def listen_key(self):
        """Create or prolong the listen key."""
        return (await self.http.post("/fapi/v1/listenKey", headers=self.headers)).json()["listenKey"]

    @property
    def headers(self):
        """Return the API key header."""
        return {"X-MBX-APIKEY": self.credential.api_key}
