"""What the tests of the simulated spot share: a served wallet, a signing client, a WebSocket API client."""

import hashlib
import hmac
import json
from pathlib import Path

from tests.sim.conftest import Reader

TAPES = Path(__file__).parents[1] / "tapes"


def sample(name, product="spot"):
    """Load an official sample."""
    return json.loads((TAPES / product / f"{name}.json").read_text())


class WsClient(Reader):
    """A plain client of the WebSocket API: signs sorted and unencoded, and nothing more."""

    def __init__(self, socket, credential, now, sign=None):
        super().__init__(socket)
        self.credential, self.now = credential, now
        self.sign = sign or self._hmac

    def _hmac(self, text):
        return hmac.new(self.credential.secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    def signed(self, **params):
        """Return parameters with key, time and signature."""
        params = {"apiKey": self.credential.api_key, "timestamp": self.now(), **params}
        text = "&".join(f"{name}={params[name]}" for name in sorted(params))
        return {**params, "signature": self.sign(text)}

    async def ask(self, method, **params):
        """Send a request and return the answer; the id goes there and back."""
        await self.socket.send(json.dumps({"id": "x1", "method": method, "params": params}))
        return await self.next()

    async def subscribe(self):
        """Subscribe with a signature and return the number."""
        reply = await self.ask("userDataStream.subscribe.signature", **self.signed())
        return reply["result"]["subscriptionId"]
