"""Which alerts a hook wants by what they say."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from accountd.config import Hook
from accountd.core.alerts import rows, wishes
from accountd.core.changes import Alert
from accountd.core.rules import NO_RULES, matches, rules_of

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
FILL = {
    "market": "usdm", "symbol": "BTCUSDT", "side": "BUY", "client_order_id": "x-bot-1", "price": "50000.1",
    "quantity": "0.02", "quote_quantity": "1000.002", "is_maker": True, "late": False, "late_by": None,
    "realized_pnl": None,
}  # fmt: skip


def rings(settings, kind="fill", account="main", **data):
    """Say whether a hook with these settings is told of a fill with this data."""
    hook = Hook(type="log", on=["*"], **settings)
    told = FILL | data if kind == "fill" else data
    alert = Alert(type=kind, identity=("1",), at=NOW, data=told)
    return bool(rows(alert, "binance-usdm", account, wishes({"ops": hook}), NOW))


def test_a_hook_without_rules_has_none():
    """The rules of a hook that says nothing cost nothing."""
    assert rules_of(Hook(type="log")) is NO_RULES


@pytest.mark.parametrize(
    ("settings", "data", "told"),
    [
        ({"markets": ["usdm"]}, {}, True),
        ({"markets": ["spot"]}, {}, False),
        ({"symbols": ["btc*"]}, {}, True),
        ({"symbols": ["*", "!BTC*"]}, {}, False),
        ({"symbols": ["!ETH*"]}, {}, True),
        ({"symbols": ["ETHUSDT"]}, {}, False),
        ({"sides": ["sell"]}, {}, False),
        ({"sides": ["BUY"]}, {}, True),
        ({"min_notional": "1000.002"}, {}, True),
        ({"min_notional": "1000.003"}, {}, False),
        ({"liquidity": "maker"}, {}, True),
        ({"liquidity": "taker"}, {}, False),
        ({"orders": "bot"}, {}, True),
        ({"orders": "manual"}, {}, False),
        ({"orders": "manual"}, {"client_order_id": "web_abc"}, True),
        ({"orders": "manual", "manual_ids": ["mine-*"]}, {"client_order_id": "mine-1"}, True),
        ({"orders": "bot"}, {"client_order_id": None}, True),
        ({"late": "late"}, {}, False),
        ({"late": "late"}, {"late": True}, True),
        ({"late": "live"}, {"late": True}, False),
        ({"when": "quote_quantity > 1000"}, {}, True),
        ({"when": "quote_quantity > 1000.002"}, {}, False),
        ({"when": "symbol =~ 'ETH.*' or account == 'main'"}, {}, True),
        ({"when": "type == 'fill' and venue == 'binance-coinm'"}, {}, False),
    ],
)
def test_each_rule_decides(settings, data, told):
    """Market, symbol, side, size, liquidity, origin, lateness and the expression decide about a fill."""
    assert rings(settings, **data) is told


@pytest.mark.parametrize(
    "settings",
    [
        {"symbols": ["BTC*"]}, {"sides": ["BUY"]}, {"min_notional": "5"}, {"liquidity": "maker"},
        {"orders": "manual"}, {"late": "late"}, {"markets": ["spot"]}, {"when": "quote_quantity > 1000"},
    ],
)  # fmt: skip
def test_a_rule_about_what_an_alert_does_not_have_lets_it_through(settings):
    """A stream that is down has no symbol, no side and no size, and is told nevertheless."""
    assert rings(settings, "stream.down", reason="lost")


def test_what_an_expression_cannot_answer_rings():
    """A field that is null compares with nothing: an alert too many is better than one too few."""
    assert rings({"when": "realized_pnl > 0"})
    assert not rings({"when": "realized_pnl != null and realized_pnl > 0"})


def test_an_expression_is_exact():
    """Numbers of an expression are decimals, not floating-point numbers."""
    assert rings({"when": "price + 0.1 == 50000.2"})


@pytest.mark.parametrize("told", ["__import__('os')", "(1).__class__", "[].append", "open('x')", "lambda: 1"])
def test_an_expression_reaches_nothing_but_fields(settings, told):
    """What Python would run is refused when the settings are read."""
    (line,) = settings.refused({"HOOKS__OPS__TYPE": "log", "HOOKS__OPS__WHEN": told})
    assert line.startswith(f"ACCOUNTD_HOOKS__OPS__WHEN: {told!r} is not allowed: ")
    assert "character" in line


def test_the_worth_of_an_order_is_its_price_times_its_quantity():
    """An order that tells no quote amount is measured by price and quantity, exactly."""
    small = {"price": "0.1", "order_quantity": "3"}
    assert rings({"min_notional": "0.3"}, "order.new", **small)
    assert not rings({"min_notional": "0.31"}, "order.new", **small)


def test_patterns_with_exclusions_alone_take_everything_else():
    """`!A*` means everything but A."""
    assert (matches("B", ["!A*"]), matches("AB", ["!A*"]), matches("", [])) == (True, False, True)


def test_min_notional_is_read_exactly(settings):
    """An amount is a decimal from the first to the last digit."""
    hook = settings.load({"HOOKS__OPS__TYPE": "log", "HOOKS__OPS__MIN_NOTIONAL": "0.10"}).hooks["ops"]
    assert hook.min_notional == Decimal("0.10")
