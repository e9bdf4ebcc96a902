"""Sessions, gaps and their alerts, as written by the runtime in the writer's transactions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import TypeVar

from accountd.core.changes import Alert
from accountd.core.ringing import stamp
from accountd.core.told import DATASETS
from accountd.runtime.findings import gap_closed, open_finding, resolve
from accountd.runtime.recorder import Recorder
from accountd.store.writer import Transaction

T = TypeVar("T")

FAILED = "sweep failed"
SHUT = "stream_shut"  # the finding about a stream that the account can do without


def condition(type_: str, at: datetime, identity: tuple[str, ...], **data: object) -> Alert:
    """Make an alert of the runtime's own; it is never history."""
    return Alert(type=type_, identity=identity, at=at, data=data)


class Books:
    """Keeps one account's sessions and gaps. Times are venue times except where a row says otherwise.

    ``datasets`` are those that exist, by market.
    """

    def __init__(self, recorder: Recorder, account: str, datasets: Mapping[str, Collection[str]]) -> None:
        self.recorder = recorder
        self.account = account
        self.datasets = [
            (one, market) for market, some in datasets.items() for one in DATASETS if one in some
        ]

    async def crashed(self, now: datetime) -> int:
        """Close the sessions of a process that died and open a gap since what was proven last."""

        def write(tx: Transaction) -> int:
            crashed = tx.close_crashed_sessions(self.account, now)
            reason = "crash" if crashed else "stopped"
            alerts = []
            seen = {session: last for session, last in crashed}
            life = tx.last_life(self.account)
            tx.go_blind(self.account, life or now, reason if life else "first start", None)
            for (dataset, market, symbol), (_, proven) in tx.cursors(self.account).items():
                if symbol == "" and dataset in DATASETS and proven < now:
                    since = max([proven, *seen.values()]) if seen else proven
                    alerts.append(self._open(tx, dataset, market, since, reason, now))
            self.recorder.ring(tx, self.account, [one for one in alerts if one])
            return len(crashed)

        return await self._submit(write)

    async def opened(self, session: str, at: datetime) -> None:
        """Write that a socket is being opened."""
        await self._submit(lambda tx: tx.open_session(session, self.account, at))

    async def subscribed(self, session: str, at: datetime) -> None:
        """Write that the subscription is proven."""

        def write(tx: Transaction) -> None:
            tx.update_session(session, subscribed_at=at, last_seen_at=at)
            tx.see_again(self.account, session, at)

        await self._submit(write)

    async def sees(self, session: str, at: datetime) -> None:
        """Write that a session receives which took over from one that did not."""
        await self._submit(lambda tx: tx.see_again(self.account, session, at))

    async def seen(self, session: str, at: datetime, frames: int) -> None:
        """Write the last proof of life: a gap begins there if the process dies."""
        await self._submit(lambda tx: tx.update_session(session, last_seen_at=at, frames=frames))

    async def live(self, session: str, at: datetime) -> None:
        """Write that the account is LIVE, and ring."""

        def write(tx: Transaction) -> None:
            tx.update_session(session, live_at=at)
            self.recorder.ring(tx, self.account, [
                condition("stream.live", at, (session,), session_id=session, live_at=stamp(at)),
            ])  # fmt: skip

        await self._submit(write)

    async def closed(self, session: str, at: datetime, reason: str, frames: int) -> None:
        """Write that a session ended with nothing missed: a rotation, or a stop."""
        await self._submit(
            lambda tx: tx.update_session(session, closed_at=at, close_reason=reason, frames=frames)
        )

    async def lost(
        self, session: str | None, since: datetime, at: datetime, reason: str, frames: int
    ) -> None:
        """Write that the stream tells nothing since the last proof of life: gaps in every dataset."""

        def write(tx: Transaction) -> None:
            alerts = []
            tx.go_blind(self.account, since, reason, session)
            if session is not None:
                tx.update_session(session, closed_at=at, close_reason=reason, frames=frames)
                said = {"session_id": session, "reason": reason, "since": stamp(since)}
                alerts.append(condition("stream.down", at, (session,), **said))
            opened = [self._open(tx, dataset, market, since, reason, at) for dataset, market in self.datasets]
            self.recorder.ring(tx, self.account, alerts + [one for one in opened if one])

        await self._submit(write)

    async def deaf(self, stream: str, reason: str, now: datetime) -> None:
        """Write that a stream aside is shut: what only it tells is not heard from here on."""

        def write(tx: Transaction) -> None:
            detail = {"reason": reason}
            open_finding(self.recorder, tx, self.account, SHUT, "warning", stream, detail, now)

        await self._submit(write)

    async def hears(self, stream: str, now: datetime) -> None:
        """Write that a stream aside is open."""
        await self._submit(lambda tx: resolve(tx, self.account, SHUT, stream, now))

    async def bridged(self, blind_until: datetime, proven: datetime, now: datetime) -> int:
        """Close the gaps that end before ``proven``; those still open ended when the stream came back."""

        def write(tx: Transaction) -> int:
            alerts = []
            for gap in tx.open_gaps(self.account):
                if gap.to_time is None and gap.reason.startswith(FAILED):
                    tx.end_gap(gap.gap_id, max(gap.from_time, proven))
                elif gap.to_time is None and gap.from_time <= blind_until:
                    tx.end_gap(gap.gap_id, blind_until)
            cursors = tx.cursors(self.account)
            for dataset, market in self.datasets:
                begin, end = cursors.get((dataset, market, ""), (now, now))
                covered = min(end, proven)
                for gap in tx.close_gaps(self.account, dataset, market, "", covered, now, covered_from=begin):
                    gap.recovered = tx.count_recovered(gap)
                    alerts.append(gap_closed(gap, now))
            self.recorder.ring(tx, self.account, alerts)
            return len(alerts)

        return await self._submit(write)

    async def failed(self, now: datetime, reason: str) -> None:
        """Write that sweeps fail: nothing is proven since the last that did not, until one succeeds."""

        def write(tx: Transaction) -> None:
            cursors = tx.cursors(self.account)
            alerts = []
            for dataset, market in self.datasets:
                known = cursors.get((dataset, market, ""))
                if known is not None:
                    alerts.append(self._open(tx, dataset, market, known[1], f"{FAILED}: {reason}", now))
            self.recorder.ring(tx, self.account, [one for one in alerts if one])

        await self._submit(write)

    async def _submit(self, run: Callable[[Transaction], T]) -> T:
        return await self.recorder.submit(run, self.account)

    def _open(self, tx: Transaction, dataset: str, market: str, since: datetime, reason: str,
              now: datetime) -> Alert | None:  # fmt: skip
        for gap in tx.open_gaps(self.account):
            if (gap.dataset, gap.market, gap.symbol, gap.to_time) == (dataset, market, "", None):
                return None  # still blind: the gap that is open goes on
        gap_id = tx.open_gap(self.account, dataset, market, "", since, reason, now)
        said = {"dataset": dataset, "market": market, "from_time": stamp(since), "reason": reason}
        return condition("gap.opened", now, (gap_id,), gap_id=gap_id, **said)
