"""An exchange in memory that answers REST from a list, and clients of it."""

import random
from datetime import timedelta

import httpx

from accountd.config import Account
from accountd.runtime.budget import Budget
from accountd.runtime.rest import RestClient
from accountd.venues import open_venue
from accountd.venues.base import to_ms
from tests.fake_clock import FakeClock

VENUE = open_venue("binance-usdm")
KEY, SECRET = "key-" + "k" * 60, "secret-" + "s" * 57


class Exchange:
    """Answers from a list, then with {}; keeps every request. ``ahead`` is how far its clock is ahead."""

    def __init__(self, *answers, ahead=0.0, delay=0.0):
        self.answers = list(answers)
        self.requests = []
        self.ahead = timedelta(seconds=ahead)
        self.delay = delay
        self.clock = FakeClock()

    async def __call__(self, request):
        self.requests.append(request)
        if request.url.path == "/fapi/v1/time":
            self.clock.advance(self.delay)
            now = to_ms(self.clock.now() + self.ahead)
            self.clock.advance(self.delay)
            return httpx.Response(200, json={"serverTime": now})
        answer = self.answers.pop(0) if self.answers else httpx.Response(200, json={})
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, **options):
        """Return a client of this exchange."""
        account = options.pop("account", None) or Account(
            venue="binance-usdm", api_key=KEY, api_secret=SECRET
        )
        budget = options.pop("budget", None) or Budget(self.clock)
        transport = options.pop("transport", None) or httpx.MockTransport(self)
        return RestClient(
            account, VENUE, budget, self.clock, transport=transport, rng=random.Random(1), **options
        )

    @property
    def asked(self):
        """Return the paths that were asked for, without the clock's."""
        return [request.url.path for request in self.requests if request.url.path != "/fapi/v1/time"]
