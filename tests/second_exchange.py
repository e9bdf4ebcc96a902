"""A second exchange, written from the venue's pages alone and sharing nothing with the simulated one.

It matches no orders: what happens to the account is scripted, and told by REST and stream as the pages of
USDⓈ-M futures say. It is strict where the venue is: parameters, signatures, weight, keys.
"""

import asyncio
import hashlib
import hmac
import json
import random
import time
from collections import Counter, deque
from urllib.parse import parse_qs, urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from tests.second_ledger import Ledger

KEY, SECRET = "K" * 64, "S" * 64
WINDOW = {"startTime", "endTime", "limit"}
SIGNED = {"timestamp", "recvWindow", "signature"}
DAY = 86_400_000
# What is asked: weight (with a symbol, without), parameters taken, most rows of a page.
TABLE = {
    "/fapi/v1/time": ((1, 1), set(), 0),
    "/fapi/v1/exchangeInfo": ((1, 1), set(), 0),
    "/fapi/v3/account": ((5, 5), set(), 0),
    "/fapi/v3/positionRisk": ((5, 5), {"symbol"}, 0),
    "/fapi/v1/accountConfig": ((5, 5), set(), 0),
    "/fapi/v1/symbolConfig": ((5, 5), {"symbol"}, 0),
    "/fapi/v1/openOrders": ((1, 40), {"symbol"}, 0),
    "/fapi/v1/openAlgoOrders": ((1, 40), {"symbol", "algoType", "algoId"}, 0),
    "/fapi/v1/order": ((1, 1), {"symbol", "orderId", "origClientOrderId"}, 0),
    "/fapi/v1/algoOrder": ((1, 1), {"algoId", "clientAlgoId"}, 0),
    "/fapi/v1/allOrders": ((5, 40), {"symbol", "orderId"} | WINDOW, 1000),
    "/fapi/v1/allAlgoOrders": ((5, 5), {"symbol", "algoId"} | WINDOW, 1000),
    "/fapi/v1/userTrades": ((5, 5), {"symbol", "orderId", "fromId"} | WINDOW, 1000),
    "/fapi/v1/income": ((30, 30), {"symbol", "incomeType"} | WINDOW, 1000),
}
PUBLIC = ("/fapi/v1/time", "/fapi/v1/exchangeInfo")
LISTEN = "/fapi/v1/listenKey"


class Refused(Exception):
    """A request that the venue does not answer: HTTP status, code, text."""


class Exchange:
    """One account on one exchange. ``missing`` are paths that answer 404, ``bare`` leaves out what may be."""

    def __init__(self, *, limit=2400, missing=(), bare=False, symbol_mandatory=False, seed=1):
        self.ledger = Ledger()
        self.limit, self.missing, self.bare = limit, set(missing), bare
        self.symbol_mandatory = symbol_mandatory
        self.rng = random.Random(seed)
        self.key, self.keys = None, 0
        self.sockets = {}  # connection -> the key of its address
        self.refuse_until = 0.0
        self.lag = 0.0  # seconds that REST is behind
        self.storm = deque()  # answers that come instead
        self.chance = {"drop": 0.0, "duplicate": 0.0, "reorder": 0.0}
        self.lists = True  # LIST_SUBSCRIPTIONS names the key of the address
        self.deaf_to = None  # a kind of event that is not told
        self.kept = []
        self.used, self.minute, self.over = 0, 0, 0
        self.wrong = []  # what no client may do
        self.spent = {}
        self.full = Counter()  # answers that hold all that was asked for, and perhaps not all that there is
        self.out = asyncio.Queue()

    async def __aenter__(self):
        verbs = ["GET", "POST", "PUT", "DELETE"]
        app = Starlette(routes=[Route("/{path:path}", self._rest, methods=verbs)])
        config = uvicorn.Config(app, port=0, log_level="error", ws="none", lifespan="off")
        self._server = uvicorn.Server(config)
        self._server.install_signal_handlers = lambda: None
        self._serving = asyncio.create_task(self._server.serve())
        while not self._server.started:  # noqa: ASYNC110  # it has no event
            await asyncio.sleep(0.01)
        self.rest_url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"
        self._stream = await serve(
            self._socket, "127.0.0.1", 0, process_request=self._handshake, compression=None,
            ping_interval=1.0, ping_timeout=5.0,
        )  # fmt: skip
        self.stream_url = f"ws://127.0.0.1:{self._stream.sockets[0].getsockname()[1]}"
        self._telling = asyncio.create_task(self._tell_for_ever())
        return self

    async def __aexit__(self, *_):
        self._telling.cancel()
        self._stream.close()
        self._server.should_exit = True
        await self._serving

    # -- what happens to the account

    def happen(self, what, *args, **more):
        """Let the ledger do something, and tell the stream of it."""
        for event in getattr(self.ledger, what)(*args, **more):
            if event["e"] != self.deaf_to:
                self.out.put_nowait(event)

    def cut(self, seconds):
        """Cut every socket and take no new one for a while."""
        self.refuse_until = time.monotonic() + seconds
        for connection in list(self.sockets):
            connection.transport.abort()

    def expire(self, told=True):
        """Let the listen key die: the sockets stay open and tell nothing more."""
        dead, self.key = self.key, None
        if told:
            said = {"e": "listenKeyExpired", "E": str(self.ledger.now()), "listenKey": dead}
            for connection in list(self.sockets):
                asyncio.get_running_loop().create_task(self._put(connection, json.dumps(said)))

    async def _tell_for_ever(self):
        while True:
            event = await self.out.get()
            if self.bare:
                event = {name: value for name, value in event.items() if name != "T"}
            if self.rng.random() < self.chance["drop"]:
                continue
            if self.rng.random() < self.chance["reorder"]:
                self.kept.append(event)
                continue
            told = [event, *self.kept]
            self.kept = []
            for one in told:
                for _ in range(2 if self.rng.random() < self.chance["duplicate"] else 1):
                    await self._tell(one)

    async def _tell(self, event):
        for connection, (key, wrapped) in list(self.sockets.items()):
            if key is not None and key == self.key:
                whole = {"data": event, "stream": f"{key}@{event['e']}"} if wrapped else event
                await self._put(connection, json.dumps(whole, sort_keys=True))

    async def _put(self, connection, text):
        try:
            await connection.send(text)
        except ConnectionClosed:
            self.sockets.pop(connection, None)

    # -- the stream

    def _handshake(self, connection, request):
        if time.monotonic() < self.refuse_until:
            return connection.respond(503, "Service Unavailable")
        parts = urlsplit(request.path)
        if not parts.path.startswith("/private/"):
            self.wrong.append(f"stream {parts.path}")  # connects, and tells nothing
        return None

    async def _socket(self, connection):
        parts = urlsplit(connection.request.path)
        told = parse_qs(parts.query)
        key = (told.get("listenKey") or [parts.path.rpartition("/")[2]])[0]
        wrapped = parts.path.startswith("/private/stream")
        known = key if parts.path.startswith("/private/") else None
        self.sockets[connection] = (known, wrapped)
        times = deque(maxlen=10)
        try:
            async for text in connection:
                now = time.monotonic()
                if len(times) == 10 and now - times[0] < 1.0:
                    self.wrong.append("more than 10 messages a second")
                    await connection.close(1008)
                times.append(now)
                asked = json.loads(text)
                if asked.get("method") == "LIST_SUBSCRIPTIONS":
                    names = [key] if self.lists else []
                    await connection.send(json.dumps({"result": names, "id": asked["id"]}))
        except ConnectionClosed:
            pass
        finally:
            self.sockets.pop(connection, None)

    # -- REST

    async def _rest(self, request):
        path, query = request.url.path, request.url.query
        headers = {}
        try:
            if path == LISTEN:
                body = self._listen_key(request.method, request.headers, query)
            else:
                body = self._answer(request.method, path, query, request.headers)
            status = 200
        except Refused as refusal:
            status, code, text = refusal.args
            if text is None:
                return Response("<html><body>Bad Gateway</body></html>", status, media_type="text/html")
            body = {"code": code, "msg": text}
        if not self.bare:
            headers["X-MBX-USED-WEIGHT-1M"] = str(self.used)
        return Response(json.dumps(body), status, headers=headers, media_type="application/json")

    def _spend(self, path, weight):
        minute = int(time.time() // 60)
        if minute != self.minute:
            self.minute, self.used = minute, 0
        self.used += weight
        self.spent[path] = self.spent.get(path, 0) + weight
        if self.used > self.limit:
            self.over += 1
            text = f"Too many requests; current limit is {self.limit} requests per minute."
            raise Refused(429, -1003, text)
        if self.storm:
            raise Refused(*self.storm.popleft())

    def _listen_key(self, method, headers, query):
        self._spend(LISTEN, 1)
        if headers.get("x-mbx-apikey") != KEY:
            raise Refused(401, -2014, "API-key format invalid.")
        if method == "DELETE" or query:
            self.wrong.append(f"{method} listenKey {query}")
            self.key = None
            return {}
        if method == "POST" and self.key is None:
            self.keys += 1
            self.key = hashlib.sha256(str(self.keys).encode()).hexdigest()
        if self.key is None:
            raise Refused(400, -1125, "This listenKey does not exist.")
        return {"listenKey": self.key}

    def _answer(self, method, path, query, headers):
        if method != "GET" or path not in TABLE or path in self.missing:
            if method != "GET":
                self.wrong.append(f"{method} {path}")
            raise Refused(404, -5000, f"Path {path}, Method {method} is invalid")
        (one, whole), taken, most = TABLE[path]
        told = {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
        self._spend(path, one if "symbol" in told else whole)
        if path not in PUBLIC:
            self._check(query, told, headers)
        unknown = set(told) - taken - SIGNED
        if unknown:
            self.wrong.append(f"{path} {sorted(unknown)}")
            raise Refused(400, -1104, f"Not all sent parameters were read; unknown {sorted(unknown)}")
        if "limit" in told and int(told["limit"]) > most:
            raise Refused(400, -1130, "Data sent for parameter 'limit' is not valid.")
        if {"startTime", "endTime"} <= set(told):
            span = int(told["endTime"]) - int(told["startTime"])
            if span < 0 or (span >= 7 * DAY and path != "/fapi/v1/income"):
                raise Refused(400, -1127, "More than 168 hours between startTime and endTime.")
        name = path.rpartition("/")[2]
        answer = getattr(self, f"_{name}")(told)
        if isinstance(answer, list) and len(answer) >= int(told.get("limit", 500)):
            self.full[name] += 1
        return answer

    def _check(self, query, told, headers):
        if headers.get("x-mbx-apikey") != KEY:
            raise Refused(401, -2014, "API-key format invalid.")
        payload, _, signature = query.rpartition("&signature=")
        if hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest() != signature:
            raise Refused(400, -1022, "Signature for this request is not valid.")
        stamp, window = int(told["timestamp"]), int(told.get("recvWindow", 5000))
        now = self.ledger.now()
        if window > 60_000 or not (stamp < now + 1000 and now - stamp <= window):
            raise Refused(400, -1021, "Timestamp for this request is outside of the recvWindow.")

    def _seen(self):
        return self.ledger.now() - int(self.lag * 1000)

    def _time(self, _):
        return {"serverTime": self.ledger.now()}

    def _exchangeInfo(self, _):
        limits = [{"interval": "MINUTE", "intervalNum": 1, "limit": self.limit,
                   "rateLimitType": "REQUEST_WEIGHT"}]  # fmt: skip
        if self.bare:
            limits.append({"rateLimitType": "ORDERS", "limit": 1200})
        symbols = [
            {"symbol": name, "status": "TRADING", "baseAsset": name[:-4], "quoteAsset": "USDT"}
            for name in self.ledger.symbols
        ]
        return {"rateLimits": limits, "symbols": symbols}

    def _account(self, _):
        wallet, _ = self.ledger.state(self._seen())
        return {"assets": [
            {"asset": name, "walletBalance": str(total), "availableBalance": str(total)}
            for name, total in wallet.items()
        ], "positions": []}  # fmt: skip

    def _positionRisk(self, _):
        _, positions = self.ledger.state(self._seen())
        return [
            {"symbol": symbol, "positionAmt": str(quantity), "entryPrice": str(entry), "markPrice": "1"}
            | ({} if self.bare else {"positionSide": "BOTH", "unRealizedProfit": "0", "updateTime": at})
            for symbol, (quantity, entry, at) in positions.items()
            if quantity
        ]  # fmt: skip

    def _accountConfig(self, _):
        return {"canTrade": True, "dualSidePosition": False, "multiAssetsMargin": False}

    def _symbolConfig(self, _):
        return [{"symbol": name, "marginType": "CROSSED", "leverage": 20} for name in self.ledger.symbols]

    def _openOrders(self, told):
        rows = self.ledger.orders_at(self._seen())
        return [row for row in rows if row["status"] in ("NEW", "PARTIALLY_FILLED") and _is(row, told)]

    def _openAlgoOrders(self, told):
        rows = self.ledger.algos_at(self._seen())
        return [row for row in rows if row["algoStatus"] == "NEW" and _is(row, told)]

    def _order(self, told):
        found = [row for row in self.ledger.orders_at(self._seen())
                 if _is(row, told) and str(row["orderId"]) == told.get("orderId")]  # fmt: skip
        if not found:
            raise Refused(400, -2013, "Order does not exist.")
        return found[0]

    def _algoOrder(self, told):
        found = [row for row in self.ledger.algos_at(self._seen()) if str(row["algoId"]) == told["algoId"]]
        if not found:
            raise Refused(400, -2013, "Order does not exist.")
        return found[0]

    def _allOrders(self, told):
        if "symbol" not in told and self.symbol_mandatory:
            raise Refused(400, -1102, "Mandatory parameter 'symbol' was not sent.")
        return _page(self.ledger.orders_at(self._seen()), told, "orderId", "time", "orderId")

    def _allAlgoOrders(self, told):
        return _page(self.ledger.algos_at(self._seen()), told, "algoId", "createTime", "algoId")

    def _userTrades(self, told):
        if "fromId" in told and "startTime" in told:
            raise Refused(400, -1128, "Combination of optional parameters invalid.")
        seen = self._seen()
        rows = [row for row in self.ledger.trades if row["time"] <= seen]
        return _page(rows, told, "id", "time", "fromId")

    def _income(self, told):
        seen = self._seen()
        kind = told.get("incomeType")
        rows = [row for row in self.ledger.income if row["time"] <= seen]
        rows = [row for row in rows if kind in (None, row["incomeType"])]
        return _page(rows, told, "tranId", "time", "")


def _is(row, told):
    return told.get("symbol") in (None, row["symbol"])


def _page(rows, told, number, moment, cursor):
    """Cut a page: from a number on, or inside a window, the oldest first."""
    rows = [row for row in rows if _is(row, told)]
    if cursor in told:
        rows = [row for row in rows if row[number] >= int(told[cursor])]
    else:
        end = int(told.get("endTime", 10**15))
        start = int(told.get("startTime", end - 7 * DAY))
        rows = [row for row in rows if start <= row[moment] <= end]
    return sorted(rows, key=lambda row: (row[moment], row[number]))[: int(told.get("limit", 500))]


def refusal(status, code=None, text=None):
    """Return an answer for a storm; without a text it is HTML."""
    return (status, code, text)
