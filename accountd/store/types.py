"""The column types that keep money exact and time UTC on both databases."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Boolean, Double, Integer, LargeBinary, Numeric, Text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.dialects.sqlite import REAL
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from accountd.core.money import money_text


def time_text(value: datetime) -> str:
    """Write an aware datetime as fixed-width UTC text that sorts and that SQLite's date functions read."""
    zone = value.tzinfo
    if zone is not UTC:
        if zone is None:
            raise TypeError("times must be aware UTC datetimes")
        value = value.astimezone(UTC)
    return value.isoformat(" ", "microseconds")


class Money(TypeDecorator[Decimal]):
    """Exact decimal: NUMERIC without limits on Postgres, canonical TEXT on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(Numeric(asdecimal=True))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if not isinstance(value, Decimal):
            raise TypeError(f"money must be a Decimal, got {type(value).__name__}")
        if dialect.name == "postgresql":
            return Decimal(money_text(value))
        return money_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        if value is None:
            return None
        return value if isinstance(value, Decimal) else Decimal(value)


class Instant(TypeDecorator[datetime]):
    """A moment in UTC with microseconds: TIMESTAMPTZ on Postgres, fixed-width TEXT on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise TypeError("times must be aware UTC datetimes")
        return value if dialect.name == "postgresql" else time_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        return datetime.fromisoformat(value)


class Flag(TypeDecorator[bool]):
    """A boolean: BOOLEAN on Postgres, INTEGER 0/1 on SQLite (STRICT tables know no BOOLEAN)."""

    impl = Integer
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(Boolean())
        return dialect.type_descriptor(Integer())

    def process_bind_param(self, value: bool | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        return bool(value) if dialect.name == "postgresql" else int(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> bool | None:
        return None if value is None else bool(value)


Whole = BigInteger().with_variant(Integer(), "sqlite")
Blob = LargeBinary()
Seconds: TypeEngine[Any] = Double().with_variant(REAL(), "sqlite")  # of time, never money
