"""Compares the exchange's truth with the record again and again: what differs must be owned up to."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import create_engine, select

from accountd.store import tables

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(ms):
    """Return the time of ms since 1970."""
    return EPOCH + timedelta(milliseconds=ms)


class Sampler:
    """Samples while it is open; ``lies`` are differences that nothing in the record owned up to."""

    def __init__(self, world, account="main", every=0.1):
        self.world, self.account, self.every = world, account, every
        self.engine = create_engine(world.url)
        self.samples = self.differed = 0
        self.lies = []

    async def __aenter__(self):
        self.task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.engine.dispose()

    async def _run(self):
        while True:
            await self.sample()
            await asyncio.sleep(self.every)

    async def sample(self):
        """Take one sample: the truth before and after the record is read."""
        before = self._truth()
        record = await asyncio.to_thread(self._record)
        after = self._truth()
        self.samples += 1
        for (dataset, symbol, name), (value, at) in before.items():
            if after[dataset, symbol, name][0] != value:
                continue  # it moved while we looked
            if record["values"].get((dataset, symbol, name)) == value:
                continue
            self.differed += 1
            if not self._owned(record, dataset, symbol, at):
                self.lies.append((dataset, symbol, name, value, at.isoformat(), self._why(record, dataset)))

    def _truth(self):
        truth, found = self.world.exchange.truth(self.account), {}
        for f in truth["fills"]:
            found["fills", f["symbol"], str(f["trade_id"])] = Decimal(f["quantity"]), moment(f["time_ms"])
        for o in truth["orders"]:
            value = (o["status"], Decimal(o["filled"]))
            found["orders", o["symbol"], str(o["order_id"])] = value, moment(o["updated_ms"])
        for o in truth["algo_orders"]:
            found["algo_orders", o["symbol"], str(o["algo_id"])] = o["status"], moment(o["updated_ms"])
        last = {}
        for t in truth["transfers"]:
            key = ("transfers", "", f"{t['type'].lower()} {t['tran_id']} {t['asset']}")
            found[key] = Decimal(t["amount"]), moment(t["time_ms"])
            last[t["asset"]] = moment(t["time_ms"])
        for asset, total in truth["balances"].items():
            found["balances", "", asset] = Decimal(total), last.get(asset, EPOCH)
        return found

    def _record(self):
        with self.engine.connect() as connection, connection.begin():
            read = {
                name: [dict(row) for row in connection.execute(select(table)).mappings()]
                for name, table in tables.metadata.tables.items()
                if name in ("fills", "orders", "transfers", "balances", "coverage", "gaps", "findings")
            }
        values = {("fills", f["symbol"], f["trade_id"]): f["quantity"] for f in read["fills"]}
        for o in read["orders"]:
            if o["kind"] == "order":
                values["orders", o["symbol"], o["order_id"]] = (o["status"], o["filled_quantity"])
            else:
                values["algo_orders", o["symbol"], o["order_id"]] = o["status"]
        for t in read["transfers"]:
            values["transfers", "", f"{t['kind']} {t['transfer_id']} {t['asset']}"] = t["amount"]
        for b in read["balances"]:
            values["balances", "", b["asset"]] = b["total"]
        return read | {"values": values}

    def _owned(self, record, dataset, symbol, at):
        """Say whether nobody claims to have proven this moment, or a gap or finding is about it."""
        proven = [
            c for c in record["coverage"]
            if (c["dataset"] == dataset and c["symbol"] in ("", symbol)
                and c["from_time"] <= at <= c["to_time"])
        ]  # fmt: skip
        if not proven:
            return True
        gaps = [g for g in record["gaps"] if g["dataset"] == dataset and g["closed_at"] is None]
        if any(g["from_time"] <= at and (g["to_time"] is None or at <= g["to_time"]) for g in gaps):
            return True
        return any(
            f["resolved_at"] is None and f["from_time"] is not None and f["from_time"] <= at <= f["to_time"]
            for f in record["findings"]
        )

    def _why(self, record, dataset):
        return [
            (c["symbol"], c["from_time"].isoformat(), c["to_time"].isoformat())
            for c in record["coverage"] if c["dataset"] == dataset
        ]  # fmt: skip


def told(findings):
    """Return the kinds and subjects of findings, for messages."""
    return [(f["kind"], f["subject"], json.loads(f["detail"])) for f in findings]
