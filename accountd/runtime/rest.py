"""The only way anything is asked of a venue: signed, bounded, budgeted and on the allow-list.

Venue page followed: derivatives/usds-margined-futures/general-info (signing, limits, error bodies).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import TypeVar
from urllib.parse import quote, urlencode

import httpx

from accountd import __version__
from accountd.config import Account
from accountd.errors import BadRequest, Banned, ClockSkew, RateLimited, VenueError, VenueUnavailable
from accountd.runtime.budget import Budget, Priority
from accountd.runtime.clock import Clock, VenueClock
from accountd.runtime.refusal import refusal_of
from accountd.runtime.signing import signer_of, ws_params
from accountd.venues.base import Call, ExchangeInfo, Flow, Page, Reply, Venue, to_ms, urls_of
from accountd.venues.doors import Request

T = TypeVar("T")
Record = Callable[[Page], Awaitable[None]]

BODY_LIMIT = 32 * 1024 * 1024
ATTEMPTS = 4
BACKOFF = 0.25  # seconds, doubled each time, fully jittered
BACKOFF_CAP = 5.0
PATIENCE = 120.0  # a pause longer than this is the caller's to wait out
SOON = 4.0  # ... after a 429 that does not say how long, when the venue's own count has room
RECV_WINDOW = "10000"  # ms

# These libraries log whole addresses, and a signed address is a secret.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class RestClient:
    """REST for one account. Errors that leave it are `VenueError`s, and none shows a key or a signature."""

    def __init__(
        self,
        account: Account,
        venue: Venue,
        budget: Budget,
        clock: Clock,
        *,
        timeout: timedelta = timedelta(seconds=10),
        transport: httpx.AsyncBaseTransport | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.urls = urls_of(
            venue.hosts, account.environment, account.rest_url, account.stream_url, account.ws_api_url
        )
        self.clock = VenueClock(clock)
        self.venue = venue
        self.budget = budget
        self._ticks = clock
        self._timeout = timeout.total_seconds()
        self._rng = rng or random.Random()
        self._key = account.api_key.get_secret_value()
        self._signer = signer_of(account)
        self._scope = account.rest_url or account.environment
        self._refusals: dict[str, int] = {}  # 429 in a row, by pool
        self._owner = hashlib.sha256(self._key.encode()).hexdigest()[:8]
        for name, pool in venue.pools.items():
            budget.set_limit(self.pool(name), pool.limit)
        self._http = httpx.AsyncClient(
            transport=transport,
            timeout=self._timeout,
            headers={"user-agent": f"accountd/{__version__}"},
            limits=httpx.Limits(max_connections=8, max_keepalive_connections=4),
        )

    def __repr__(self) -> str:
        return f"RestClient({self.venue.name} at {self.urls.rest})"

    async def __aenter__(self) -> RestClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def pool(self, name: str) -> str:
        """Return the budget's name of a venue's pool: other environments count by themselves, and
        some pools for each account."""
        known = self.venue.pools.get(name)
        owner = f"#{self._owner}" if known is not None and known.per_account else ""
        return f"{name}{owner}@{self._scope}"

    def take_limits(self, info: ExchangeInfo) -> None:
        """Hold the budget to the limits that the venue declares."""
        for pool, limit in info.limits.items():
            self.budget.set_limit(self.pool(pool), limit)

    def heed(self, pool: str, refusal: VenueError) -> None:
        """Let nobody use a pool for as long as a refusal asks; a ban is about the whole address."""
        if not isinstance(refusal, RateLimited):
            return
        banned = self.venue.pools if isinstance(refusal, Banned) else ()
        for name in {pool, *banned}:
            self.budget.pause(self.pool(name), refusal.retry_after or 0.0)

    async def spend(self, pool: str, weight: int, priority: Priority) -> None:
        """Wait until ``weight`` may be spent on what is not REST: sockets count against the same pools."""
        await self.budget.acquire(self.pool(pool), weight, priority, self)

    def has_room(self, costs: Mapping[str, int], priority: Priority) -> bool:
        """Say whether each pool has so much weight to spare at once, half of the room left to others."""
        rooms = (self.budget.has_room(self.pool(pool), cost, priority) for pool, cost in costs.items())
        return all(rooms)

    def pace(self, costs: Mapping[str, int], priority: Priority) -> float:
        """Return seconds after which so much may be spent again, with as much left for others."""
        rates = (self.budget.pace(self.pool(pool), cost, priority) for pool, cost in costs.items())
        return max(rates, default=0.0)

    async def until_room(self, costs: Mapping[str, int], priority: Priority) -> None:
        """Wait until as much may be spent at once, by pool: who then begins need not stop on its way.

        Half of the room is left to others, unless they took it for so long that it is this one's turn.
        """
        turn = self._ticks.monotonic() + self.pace(costs, priority)
        for spare in (0.5, 0.0):
            for pool, weight in costs.items():
                while (wait := self.budget.wait(self.pool(pool), weight, priority, spare)) > 0:
                    left = turn - self._ticks.monotonic() if spare else wait
                    if left <= 0:
                        break
                    await self._ticks.sleep(min(wait, left))

    def ws_params(self, request: Request) -> dict[str, str | int]:
        """Return a WebSocket request's parameters, signed where it asks for that."""
        told: dict[str, str | int] = dict(request.params)
        if not request.signed:
            return told
        return ws_params(self._signer, self._key, told, to_ms(self.clock.now()), int(RECV_WINDOW))

    async def run(self, flow: Flow[T], priority: Priority, record: Record | None = None,
                  scarce: Priority | None = None) -> T:  # fmt: skip
        """Drive a flow: send its calls, record its pages, throw refusals into it, return its result.

        ``scarce`` is the priority of calls that never wait, where it is another.

        Raises:
            VenueError: a refusal that the flow does not know better than.
        """
        try:
            step = next(flow)
            while True:
                if isinstance(step, Page):
                    if record is not None:
                        await record(step)
                    step = flow.send(None)
                    continue
                try:
                    reply = await self.send(step, scarce if step.now and scarce is not None else priority)
                except VenueError as refusal:
                    step = flow.throw(refusal)
                else:
                    step = flow.send(reply)
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            flow.close()

    async def send(self, call: Call, priority: Priority) -> Reply:
        """Send a call, again where that can help, and return the reply.

        A short pause asked for by the venue is waited out; a wrong clock is measured and mended once.

        Raises:
            BadRequest: the call is not on the venue's allow-list (nothing was sent), or not acceptable.
            VenueError: as classified; ``retry_after`` seconds where the venue says so.
        """
        if call.signed and not self.clock.measured:
            await self.measure_offset(priority)
        skewed = False
        tries = 0
        while True:
            try:
                return (await self._attempt(call, priority))[0]
            except ClockSkew:
                if skewed:
                    raise
                skewed = True
                await self.measure_offset(priority)
            except (RateLimited, VenueUnavailable) as refusal:
                tries += 1
                if call.once or tries >= ATTEMPTS or (refusal.retry_after or 0) > PATIENCE:
                    raise
                await self._back_off(refusal, tries)

    async def measure_offset(self, priority: Priority = Priority.SEAM) -> timedelta:
        """Measure the venue's clock, half the round trip allowed for; return how far ahead of the wall it is.

        Raises:
            VenueError: the venue does not tell its time.
        """
        tries = 0
        while True:
            flow = self.venue.server_time()
            call = next(flow)
            if not isinstance(call, Call):
                raise TypeError("the first step of server_time is a call")
            try:
                reply, seconds = await self._attempt(call, priority)
                flow.send(reply)
            except StopIteration as done:
                return self.clock.set(done.value + timedelta(seconds=seconds / 2))
            except (RateLimited, VenueUnavailable) as refusal:
                tries += 1
                if tries >= ATTEMPTS or (refusal.retry_after or 0) > PATIENCE:
                    raise
                await self._back_off(refusal, tries)
            finally:
                flow.close()

    async def _back_off(self, refusal: VenueError, tries: int) -> None:
        """Wait before another attempt; a paused pool is waited for by the budget."""
        if not isinstance(refusal, RateLimited):
            longest = min(BACKOFF_CAP, BACKOFF * 2**tries)
            await self._ticks.sleep(max(refusal.retry_after or 0.0, self._rng.uniform(0.0, longest)))

    async def _attempt(self, call: Call, priority: Priority) -> tuple[Reply, float]:
        """Send once; return the reply and how long it took in seconds."""
        if (call.method, call.path) not in self.venue.allowed:
            raise BadRequest(f"{call.method} {call.path}: not on the list of what may be asked")
        base = self.urls.of(call.base)
        if not base:
            raise BadRequest(f"{call.method} {call.path}: does not exist in this environment")
        pool = self.pool(call.pool)
        if call.now and not self.budget.has_room(pool, call.weight, priority):
            raise RateLimited(f"{call.method} {call.path}: waits for weight")
        await self.budget.acquire(pool, call.weight, priority, self)
        fetched_at = self.clock.now()
        started = self._ticks.monotonic()
        request = self._request(call, base)
        try:
            async with asyncio.timeout(self._timeout):
                status, headers, body = await self._exchange(request, call)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as failure:
            # The failure's own words may hold the address, and that the signature.
            raise VenueUnavailable(f"{call.method} {call.path}: {type(failure).__name__}") from None
        seconds = self._ticks.monotonic() - started
        told = self._observe(call, headers, status)
        refusal = refusal_of(call, status, headers, body, self.clock.now(), secrets=(self._key,))
        if refusal is not None:
            self._soften(pool, refusal, call.weight, told)
            self.heed(call.pool, refusal)
            raise refusal
        self._refusals.pop(pool, None)
        return Reply(body=body, fetched_at=fetched_at, status=status), seconds

    def _request(self, call: Call, base: str) -> httpx.Request:
        """Build the request: percent-encode, sign what is encoded, and put the signature last."""
        params = call.params
        if call.signed:
            params = (*params, ("recvWindow", RECV_WINDOW), ("timestamp", str(to_ms(self.clock.now()))))
        query = urlencode(params, quote_via=quote, safe="")
        if call.signed:
            signature = quote(self._signer.sign(query.encode()), safe="")
            query = f"{query}&signature={signature}"
        headers = {"X-MBX-APIKEY": self._key} if call.signed or call.keyed else {}
        return self._http.build_request(
            call.method, f"{base}{call.path}?{query}".rstrip("?"), headers=headers
        )

    async def _exchange(self, request: httpx.Request, call: Call) -> tuple[int, Mapping[str, str], bytes]:
        """Send and read the body, which may not grow without bound."""
        response = await self._http.send(request, stream=True)
        try:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > BODY_LIMIT:
                    raise VenueUnavailable(
                        f"{call.method} {call.path}: a reply of more than {BODY_LIMIT} bytes"
                    )
            return response.status_code, response.headers, bytes(body)
        finally:
            await response.aclose()

    def _soften(self, pool: str, refusal: VenueError, weight: int, told: int | None) -> None:
        """A 429 that does not say for how long, beside a count with room in it, is not about the minute:
        try again soon, and later with each more in a row."""
        if type(refusal) is not RateLimited or refusal.told_end or told is None:
            return
        if told + weight <= self.budget.crowded(pool):
            tries = self._refusals[pool] = self._refusals.get(pool, 0) + 1
            soon = SOON * 2.0 ** min(tries - 1, 5)
            refusal.retry_after = min(soon, refusal.retry_after or soon)

    def _observe(self, call: Call, headers: Mapping[str, str], status: int) -> int | None:
        """Take the used weight that a reply tells, and return it."""
        known = self.venue.pools.get(call.pool)
        used = headers.get(known.header, "") if known is not None else ""
        if not (used.isascii() and used.isdecimal()):
            return None
        counted = call.weight if status < 400 else 0  # what is refused may be counted or not
        self.budget.observe(self.pool(call.pool), int(used), self.clock.now(), counted)
        return int(used)
