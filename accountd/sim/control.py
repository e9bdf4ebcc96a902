"""The simulation's own endpoints: GET /sim/truth, GET /sim/counters, POST /sim/fault, POST /sim/burst."""

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from accountd.sim.connection import Reply
from accountd.sim.rest import HttpRequest

if TYPE_CHECKING:
    from accountd.sim.server import SimServer


class Control:
    """Answers requests about the simulation itself; no key is needed and no weight is counted."""

    def __init__(self, server: "SimServer") -> None:
        self.server = server

    def answer(self, request: HttpRequest) -> Reply:
        """Return the reply: 404 for an unknown path or account, 400 for a bad fault."""
        routes = {
            "GET /sim/truth": self._truth,
            "GET /sim/counters": self._counters,
            "POST /sim/fault": self._fault,
            "POST /sim/burst": self._burst,
        }
        route = routes.get(f"{request.method} {request.path}")
        if route is None:
            return _reply(404, {"error": "no such path"})
        try:
            return _reply(200, route(request))
        except KeyError as error:
            return _reply(404, {"error": f"unknown name {error}"})
        except (ValueError, TypeError) as error:
            return _reply(400, {"error": str(error)})

    def _account(self, name: str | None) -> str:
        return name or next(iter(self.server.exchange.accounts))

    def _truth(self, request: HttpRequest) -> Any:
        asked = parse_qs(request.query)
        name, product = (asked.get(key, [None])[0] for key in ("account", "product"))
        truth = self.server.product(product or "usdm").truth(self._account(name))
        return truth | {"counters": self.server.counters()}

    def _counters(self, request: HttpRequest) -> Any:
        return self.server.counters()

    def _fault(self, request: HttpRequest) -> Any:
        options = json.loads(request.body)
        name = options.pop("fault")
        return {"fault": name, "result": self.server.faults.inject(name, **options)}

    def _burst(self, request: HttpRequest) -> Any:
        options = json.loads(request.body or "{}")
        account = self._account(options.get("account"))
        symbol = options.get("symbol", "BTCUSDT")
        product = self.server.product(options.get("product", "usdm"))
        return {"fills": product.burst(account, int(options.get("n", 100)), symbol)}


def _reply(status: int, body: Any) -> Reply:
    return Reply(status, json.dumps(body, ensure_ascii=False).encode())
