"""Whether a snapshot tells something that should have been known: the stream kept it back."""

from __future__ import annotations

from collections.abc import Iterable

from accountd.core.beliefs import Beliefs
from accountd.core.told import BALANCES, Balance, Position, Snapshot, Told


def differs(beliefs: Beliefs | None, told: Iterable[Told]) -> bool:
    """Say whether a later telling gives another balance or position than is believed.

    What was told of an earlier moment than the belief is only a replica that lags.
    """
    if beliefs is None:
        return False
    for one in told:
        if isinstance(one, Balance):
            if _balance_differs(beliefs, one):
                return True
        elif isinstance(one, Snapshot) and one.dataset == BALANCES:
            if _left_out(beliefs, one):
                return True
        elif isinstance(one, Position) and one.quantity is not None and _position_differs(beliefs, one):
            return True
    return False


def kept_back(beliefs: Beliefs | None) -> bool:
    """Say whether REST told of a balance that the stream has not told since: money may have moved."""
    return beliefs is not None and any(key[0] == "balance" for key in beliefs.doubts.open)


def _balance_differs(beliefs: Beliefs, told: Balance) -> bool:
    held = beliefs.balances.get((told.market, told.asset))
    if held is None:
        return bool(told.total)
    return told.total != held.total and told.as_of > held.as_of


def _left_out(beliefs: Beliefs, told: Snapshot) -> bool:
    """Say whether something is held that a page which lists every balance does not show."""
    return any(
        held.market == told.market and held.total and (held.asset, "") not in told.keys
        and told.as_of > held.as_of
        for held in beliefs.balances.values()
    )  # fmt: skip


def _position_differs(beliefs: Beliefs, told: Position) -> bool:
    held = beliefs.positions.get((told.market, told.symbol, told.position_side))
    if held is None:
        return bool(told.quantity)
    return told.quantity != (held.quantity or 0) and told.as_of > held.as_of
