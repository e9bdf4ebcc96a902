"""How rows leave a command."""

import io
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from accountd.cli import output
from accountd.errors import SettingsError

ROW = {
    "amount": Decimal("1E-8"),
    "when": datetime(2026, 11, 23, 10, 30, 0, 120000, tzinfo=UTC),
    "raw": b"\x00\xff",
    "none": None,
    "yes": True,
}


def test_json_is_one_array_of_exact_objects():
    """Decimals are strings without exponents, times end in Z, bytes are hex."""
    out = io.StringIO()
    output.write_json([ROW, ROW], out)
    first, second = json.loads(out.getvalue())
    assert first == second
    assert first == {
        "amount": "0.00000001",
        "when": "2026-11-23T10:30:00.120000Z",
        "raw": "00ff",
        "none": None,
        "yes": True,
    }


def test_json_of_nothing_is_an_empty_array():
    """No rows are an empty array, not nothing."""
    out = io.StringIO()
    output.write_json([], out)
    assert json.loads(out.getvalue()) == []


def test_csv_has_its_header_even_without_rows():
    """The header is there when the rows are not."""
    out = io.StringIO()
    output.write_csv(["a", "b"], [], out)
    assert out.getvalue() == "a,b\n"


def test_csv_writes_null_as_nothing():
    """Null is an empty field, and digits are exact."""
    out = io.StringIO()
    output.write_csv(["none", "amount"], [ROW], out)
    assert out.getvalue() == "none,amount\n,0.00000001\n"


def test_plain_lines_align_and_carry_no_colour():
    """Numbers are aligned on the right, and nothing is an escape sequence."""
    lines = list(
        output.plain_lines(["asset", "total"], [["BTC", Decimal("1.5")], ["USDT", Decimal("100.25")]])
    )
    assert lines == ["asset   total", "BTC       1.5", "USDT   100.25"]


def test_both_forms_at_once_are_refused():
    """--json and --csv together are a mistake."""
    with pytest.raises(SettingsError, match="exclude"):
        output.form(True, True)
