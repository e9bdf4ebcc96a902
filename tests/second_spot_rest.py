"""The REST of the second spot exchange: signed strictly, every parameter known or refused, pages cut off."""

import asyncio
import gzip
import json
import random
from datetime import UTC, datetime
from urllib.parse import parse_qsl, unquote

from tests.second_spot_keys import API_KEY
from tests.second_spot_ledger import ASSETS, FINAL, text

DAY = 86_400_000
WALLET = "/sapi/v1/capital/deposit/hisrec", "/sapi/v1/capital/withdraw/history"
TIMED = {"symbol", "startTime", "endTime", "limit", "orderId"}
# What each question may say beside recvWindow, timestamp and signature; an asterisk: it must.
KNOWN = {
    "/api/v3/account": {"omitZeroBalances"},
    "/api/v3/openOrders": {"symbol"},
    "/api/v3/order": {"symbol*", "orderId", "origClientOrderId"},
    "/api/v3/allOrders": {"symbol*", *TIMED},
    "/api/v3/myTrades": {"symbol*", "fromId", *TIMED},
    "/api/v3/myAllocations": {"symbol*", "fromAllocationId", *TIMED},
    "/api/v3/order/amendments": {"symbol*", "orderId*", "fromExecutionId", "limit"},
    "/api/v3/myPreventedMatches": {
        "symbol*", "preventedMatchId", "orderId", "fromPreventedMatchId", "limit"
    },
    "/api/v3/allOrderList": {"fromId", "startTime", "endTime", "limit"},
    WALLET[0]: {"coin", "status", "startTime", "endTime", "offset", "limit"},
    WALLET[1]: {"coin", "status", "startTime", "endTime", "offset", "limit"},
}
JSON = {"Content-Type": "application/json"}
FAULTY = (
    (500, JSON, b""), (502, {"Content-Type": "text/html"}, b"<html>bad gateway</html>"),
    (504, JSON, b'{"code":-1007,"msg":"Timeout waiting for response from backend server."}'),
    (200, JSON, b'[{"symbol":"BTCU'), (200, {"Content-Type": "text/html"}, b"<html>maintenance</html>"),
    (200, JSON, b""), (400, JSON, b'{"code":-1021,"msg":"Timestamp for this request is outside"}'),
    (503, JSON, b'{"code":-1008,"msg":"Server is currently overloaded"}'),
    (429, {**JSON, "Retry-After": "1"}, b'{"code":-1003,"msg":"Too many requests"}'),
    (418, {**JSON, "Retry-After": "2"}, b'{"code":-1003,"msg":"Way too many requests"}'),
    (403, {"Content-Type": "text/html", "Retry-After": "1"}, b"<html>WAF</html>"),
)  # fmt: skip
# What a request weighs, by its parameters.
WEIGHTS = {
    "/api/v3/account": lambda q: 20, "/api/v3/openOrders": lambda q: 6 if "symbol" in dict(q) else 80,
    "/api/v3/order": lambda q: 4, "/api/v3/allOrders": lambda q: 20, "/api/v3/exchangeInfo": lambda q: 20,
    "/api/v3/myTrades": lambda q: 5 if "orderId" in dict(q) else 20, "/api/v3/myAllocations": lambda q: 20,
    "/api/v3/order/amendments": lambda q: 4, "/api/v3/myPreventedMatches": lambda q: 20,
    "/api/v3/allOrderList": lambda q: 20,
}  # fmt: skip
HTML = b"<html>\r\n<head><title>%d</title></head>\r\n<body>nginx</body></html>"


class Refused(Exception):
    """What the exchange will not answer."""

    def __init__(self, status, code, message):
        self.status, self.code, self.message = status, code, message


class Rest:
    """Serves one account. ``lag`` is how many ms its replica is behind, ``absent`` are paths it has not."""

    def __init__(self, ledger, key, *, wallet=True, classic=False):
        self.ledger, self.key, self.classic = ledger, key, classic
        self.absent = set() if wallet else set(WALLET)
        self.lag = 0
        self.fail = []  # (status, headers, body) of the next signed requests
        self.asked = []
        self.refused = []
        self.rng = random.Random(3)
        self.slow = 0.0  # seconds before each reply
        self.limit = 60_000  # weight in a minute of the exchange's clock
        self.minute, self.used, self.spent = 0, 0, []
        self.banned_until = 0
        self.torn = 0.0  # chance of a reply that is cut off, or is no answer
        self.listen_key = "L" * 63 + "k"

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def _serve(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines if line)
                headers["x-mbx-apikey"] = next(
                    (line.split(": ", 1)[1] for line in lines if line.lower().startswith("x-mbx-apikey")), ""
                )
                await reader.readexactly(int(headers.get("content-length", 0)))
                method, target, _ = first.split(" ")
                await asyncio.sleep(self.slow)
                status, more, body = self.answer(method, target, headers["x-mbx-apikey"])
                closing = self.rng.random() < 0.1
                if "gzip" in headers.get("accept-encoding", "") and self.rng.random() < 0.5:
                    body, more = gzip.compress(body), {**more, "Content-Encoding": "gzip"}
                connection = "close" if closing else "keep-alive"
                told = {"Content-Length": len(body), "Connection": connection, **more}
                lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
                writer.write(f"HTTP/1.1 {status} Told\r\n{lines}\r\n".encode() + body)
                await writer.drain()
                if closing:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def answer(self, method, target, api_key):
        """Return status, headers and body of one request."""
        path, _, query = target.partition("?")
        self.asked.append((method, path))
        kind = {"Content-Type": "application/json;charset=UTF-8"}
        if path.startswith("/api/"):
            self.weigh(WEIGHTS[path](parse_qsl(query)) if path in WEIGHTS else 1)
            kind["X-MBX-USED-WEIGHT-1M"] = str(self.used)
            if self.used > self.limit:
                self.refused.append((path, 429, -1003))
                return 429, kind, b'{"code":-1003,"msg":"Too much request weight used"}'
        if self.ledger.now() < self.banned_until:
            text = f"Way too much request weight used; IP banned until {self.banned_until}."
            return 418, kind, json.dumps({"code": -1003, "msg": text}).encode()
        if self.torn and self.rng.random() < self.torn:
            return self.rng.choice(FAULTY)
        try:
            return 200, kind, json.dumps(self._told(method, path, query, api_key)).encode()
        except Refused as no:
            self.refused.append((path, no.status, no.code))
            if no.code is None:
                return no.status, {"Content-Type": "text/html"}, HTML % no.status
            return no.status, kind, json.dumps({"code": no.code, "msg": no.message}).encode()
        except Failing as failure:
            return failure.args

    def weigh(self, weight):
        """Count what a request weighs against the minute that it falls into."""
        minute = self.ledger.now() // 60_000
        self.minute, self.used = minute, weight + (self.used if minute == self.minute else 0)
        self.spent.append((self.ledger.now(), weight))

    def _told(self, method, path, query, api_key):
        if path == "/api/v3/time":
            return {"serverTime": self.ledger.now()}
        if path == "/api/v3/exchangeInfo":
            return self._info()
        if path == "/api/v3/userDataStream":
            return self._listen(method, query, api_key)
        if method != "GET" or path in self.absent or path not in KNOWN:
            raise Refused(404, None, "")
        if self.fail:
            raise Failing(*self.fail.pop(0))
        params = self._checked(path, query, api_key)
        return getattr(self, f"_get_{path.rpartition('/')[2]}")(params)

    def _checked(self, path, query, api_key):
        """Check key, signature, clock and every name; return the parameters."""
        if api_key != API_KEY:
            raise Refused(401, -2014, "API-key format invalid.")
        payload, mark, signature = query.rpartition("&signature=")
        if not mark or "&" in signature:
            raise Refused(400, -1102, "Mandatory parameter 'signature' was not sent, was empty/null.")
        if not self.key.signed(payload.encode(), unquote(signature)):
            raise Refused(400, -1022, "Signature for this request is not valid.")
        pairs = parse_qsl(payload, keep_blank_values=True, strict_parsing=True)
        params = dict(pairs)
        if len(params) != len(pairs):
            raise Refused(400, -1101, "Duplicate values for a parameter detected.")
        late = self.ledger.now() - int(params.pop("timestamp"))
        if late > float(params.pop("recvWindow", 5000)) or late < -1000:
            raise Refused(400, -1021, "Timestamp for this request is outside of the recvWindow.")
        known = KNOWN[path]
        if unknown := set(params) - {name.rstrip("*") for name in known}:
            raise Refused(400, -1104, f"Not all sent parameters were read: {unknown}")
        if missing := {name[:-1] for name in known if name.endswith("*")} - set(params):
            raise Refused(400, -1102, f"Mandatory parameter {missing} was not sent.")
        if any(not value for value in params.values()):
            raise Refused(400, -1105, "Parameter was empty.")
        if params.get("symbol", "BTCUSDT") not in ASSETS:
            raise Refused(400, -1121, "Invalid symbol.")
        return params

    def _info(self):
        symbols = [
            {"symbol": name, "status": "TRADING", "baseAsset": base, "quoteAsset": quote, "filters": [],
             "permissions": [], "permissionSets": [["SPOT", "MARGIN"]], "orderTypes": ["LIMIT"]}
            for name, (base, quote) in ASSETS.items()
        ]  # fmt: skip
        limits = [
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 50},
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": self.limit},
            {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 300_000},
        ]
        return {"timezone": "UTC", "serverTime": self.ledger.now(), "rateLimits": limits, "symbols": symbols}

    def _listen(self, method, query, api_key):
        if not self.classic:
            raise Refused(410, None, "")
        if api_key != API_KEY:
            raise Refused(401, -2015, "Invalid API-key, IP, or permissions for action.")
        if method == "POST":
            return {"listenKey": self.listen_key}
        if dict(parse_qsl(query)) != {"listenKey": self.listen_key}:
            raise Refused(400, -1125, "This listenKey does not exist.")
        return {}

    # -- answers

    @property
    def _horizon(self):
        return self.ledger.now() - self.lag

    def _rows(self):
        """Return every order as the replica knows it."""
        known = {}
        for at, number, order in self.ledger.versions:
            if at <= self._horizon:
                known[number] = order
        return known

    def _get_account(self, params):
        wallet = [wallet for at, wallet in self.ledger.wallets if at <= self._horizon][-1]
        omit = params.get("omitZeroBalances") == "true"
        rows = [
            {"asset": asset, "free": text(free), "locked": text(locked)}
            for asset, (free, locked) in {**wallet, "DUST": (0, 0)}.items() if free or locked or not omit
        ]  # fmt: skip
        return {
            "makerCommission": 15, "canTrade": True, "canWithdraw": True, "canDeposit": True, "uid": 1,
            "updateTime": self.ledger.now(), "accountType": "SPOT", "balances": rows, "permissions": ["SPOT"],
        }  # fmt: skip

    def _get_openOrders(self, params):
        wanted = params.get("symbol")
        return [
            self._order(o) for o in self._rows().values()
            if o["status"] not in FINAL and wanted in (None, o["symbol"])
        ]

    def _get_order(self, params):
        found = self._rows().get(int(params.get("orderId", 0)))
        if found is None or found["symbol"] != params["symbol"]:
            raise Refused(400, -2013, "Order does not exist.")
        return self._order(found)

    def _get_allOrders(self, params):
        rows = [o for o in self._rows().values() if o["symbol"] == params["symbol"]]
        rows = self._cut(rows, params, "orderId", lambda o: o["id"], lambda o: o["updated"])
        return [self._order(o) for o in rows]

    def _get_myTrades(self, params):
        if "fromId" in params and {"startTime", "endTime"} & set(params):
            raise Refused(400, -1128, "Combination of optional parameters invalid.")
        return self._executions(self.ledger.trades, params, "fromId", "id")

    def _get_myAllocations(self, params):
        return self._executions(self.ledger.allocations, params, "fromAllocationId", "allocationId")

    def _executions(self, kept, params, cursor, name):
        rows = [t for t in kept if t["symbol"] == params["symbol"] and t["at"] <= self._horizon]
        rows = self._cut(rows, params, cursor, lambda t: t["number"], lambda t: t["at"])
        return [
            {
                "isBuyer": t["side"] == "BUY", "symbol": t["symbol"], name: t["number"],
                "orderId": t["order"], "orderListId": -1, "price": text(t["price"]),
                "qty": text(t["quantity"]),
                "quoteQty": text(t["price"] * t["quantity"]), "commission": text(t["fee"]),
                "commissionAsset": "BNB", "time": t["at"], "isMaker": t["maker"], "isBestMatch": True,
            }
            for t in rows
        ]  # fmt: skip

    def _get_amendments(self, params):
        rows = [r for r in self.ledger.amendments if str(r["order"]) == params["orderId"]]
        return [
            {"symbol": r["symbol"], "orderId": r["order"], "executionId": r["execution"],
             "origClientOrderId": r["old"], "newClientOrderId": r["new"], "origQty": text(r["from"]),
             "newQty": text(r["to"]), "time": r["at"]}
            for r in rows[: int(params.get("limit", 500))] if r["at"] <= self._horizon
        ]  # fmt: skip

    def _get_myPreventedMatches(self, params):
        if ("orderId" in params) == ("preventedMatchId" in params):
            raise Refused(400, -1128, "Combination of optional parameters invalid.")
        rows = [r for r in self.ledger.prevented if str(r["order"]) == params.get("orderId")]
        return [
            {"symbol": r["symbol"], "preventedMatchId": r["number"], "takerOrderId": 37,
             "makerSymbol": r["symbol"], "makerOrderId": r["order"], "tradeGroupId": 1,
             "selfTradePreventionMode": "EXPIRE_MAKER", "price": text(r["price"]),
             "makerPreventedQuantity": text(r["quantity"]), "transactTime": r["at"]}
            for r in rows[: int(params.get("limit", 500))] if r["at"] <= self._horizon
        ]  # fmt: skip

    def _get_allOrderList(self, params):
        rows = self._cut(self.ledger.lists, params, "fromId", lambda r: r["number"], lambda r: r["at"])
        return [
            {"orderListId": r["number"], "contingencyType": "OCO", "listStatusType": "EXEC_STARTED",
             "listOrderStatus": "EXECUTING", "listClientOrderId": "list", "transactionTime": r["at"],
             "symbol": r["symbol"], "orders": [{"symbol": r["symbol"], "orderId": i} for i in r["legs"]]}
            for r in rows
        ]  # fmt: skip

    def _get_hisrec(self, params):
        rows = self._cut(self.ledger.deposits, params, "offset", lambda r: 0, lambda r: r["at"], 90 * DAY)
        return [
            {"id": r["id"], "amount": f"{r['amount'].normalize():f}", "coin": r["asset"], "network": "X",
             "status": 1, "address": "a", "txId": f"tx-{r['id']}", "insertTime": r["at"]}
            for r in rows
        ]  # fmt: skip

    def _get_history(self, params):
        rows = self._cut(self.ledger.withdrawals, params, "offset", lambda r: 0, lambda r: r["at"], 90 * DAY)
        return [
            {"id": r["id"], "amount": f"{r['amount'].normalize():f}", "transactionFee": str(r["fee"]),
             "coin": r["asset"], "status": 6, "address": "a", "txId": f"tx-{r['id']}", "network": "X",
             "applyTime": f"{datetime.fromtimestamp(r['at'] / 1000, UTC):%Y-%m-%d %H:%M:%S}"}
            for r in rows
        ]  # fmt: skip

    def _cut(self, rows, params, cursor, number, at, widest=DAY):
        """Return the page that is asked for: by number from it on, by time the oldest, or the newest."""
        limit = int(params.get("limit", 500))
        if limit > 1000:
            raise Refused(400, -1130, "Data sent for parameter 'limit' is not valid.")
        start, end = (int(params[name]) if name in params else None for name in ("startTime", "endTime"))
        if start is not None and end is not None:
            if end - start > widest:
                raise Refused(400, -1127, "More than 24 hours between startTime and endTime.")
            return [r for r in rows if start <= at(r) <= end][:limit]
        if cursor in params:
            return sorted((r for r in rows if number(r) >= int(params[cursor])), key=number)[:limit]
        return rows[-limit:]

    def _order(self, o):
        more = {}
        if o["match"]:
            more = {"preventedMatchId": o["match"]["number"], "preventedQuantity": text(o["prevented"])}
        more |= {"usedSor": True, "workingFloor": "SOR"} if o["sor"] else {}
        more |= {"expiryReason": o["expiry"]} if o["expiry"] else {}
        return {
            **more, "symbol": o["symbol"], "orderId": o["id"], "orderListId": o["list"],
            "clientOrderId": o["client"], "price": text(o["p"]), "origQty": text(o["q"]),
            "executedQty": text(o["z"]), "cummulativeQuoteQty": text(o["Z"]), "status": o["status"],
            "timeInForce": o["tif"], "type": o["type"], "side": o["side"], "stopPrice": text(o["stop"]),
            "icebergQty": "0.00000000", "time": o["created"], "updateTime": o["updated"],
            "isWorking": o["status"] not in FINAL, "workingTime": o["created"],
            "origQuoteOrderQty": "0.00000000", "selfTradePreventionMode": "EXPIRE_MAKER", "new": {"a": 1},
        }  # fmt: skip


class Failing(Exception):
    """A request that is answered by a fault: status, headers, body."""
