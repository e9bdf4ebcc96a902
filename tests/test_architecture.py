"""The rules of the house, read from the source: who imports whom, and how large a thought may be."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHIPPED = sorted([*(ROOT / "accountd").rglob("*.py"), *(ROOT / "migrations").rglob("*.py")])

# Rings, and what each may import of the others. Modules at the package's root count as "root".
MAY_IMPORT = {
    "core": {"core", "errors"},
    "venues": {"venues", "core", "root", "errors"},
    "store": {"store", "core", "root", "errors"},
    "sinks": {"sinks", "core", "root", "errors"},
    "runtime": {"runtime", "core", "venues", "store", "sinks", "root", "errors"},
    "web": {"web", "store", "core", "root", "errors"},
    "sim": {"sim"},
    "cli": {"cli", "core", "venues", "store", "sinks", "runtime", "web", "sim", "root", "errors"},
    "root": {"root", "errors"},
    "errors": set(),
    "migrations": {"store"},
    # What `python -m accountd` runs.
    "__main__": {"cli"},
}
# Libraries that have one door, and where it is.
DOORS = {
    "websockets": ("accountd/runtime/watcher.py", "accountd/sim/"),
    "apscheduler": ("accountd/runtime/keepalive.py",),
    "sqlalchemy": ("accountd/store/", "migrations/"),
    "alembic": ("accountd/store/", "migrations/"),
    "httpx": ("accountd/runtime/rest.py", "accountd/sinks/"),
    "aiohttp": ("accountd/sinks/",),
}
MOTIONLESS = ("accountd/core/", "accountd/venues/")
FLOATLESS = ("accountd/core/", "accountd/venues/", "accountd/store/")
IMPURE_MODULES = ("random", "secrets", "asyncio", "socket", "threading", "subprocess")
IMPURE_CALLS = (
    "time.time",
    "time.time_ns",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.sleep",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "date.today",
    "uuid.uuid1",
    "uuid.uuid4",
    "uuid4",
    "os.urandom",
)
FILE_LINES = 400
FUNCTION_LINES = 60


def ring(path: str) -> str:
    """Return the ring that a file belongs to."""
    first, *rest = path.split("/")
    if first != "accountd":
        return first
    if len(rest) > 1:
        return rest[0]
    return Path(path).stem if Path(path).stem in ("errors", "__main__") else "root"


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and full name of everything imported, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def target(name: str) -> str:
    """Return the ring that an imported `accountd...` name belongs to."""
    parts = name.split(".")
    if len(parts) > 1 and (parts[1] in MAY_IMPORT or parts[1] == "errors"):
        return parts[1]
    return "root"


def breaks_rings(path: str, tree: ast.AST) -> Iterator[str]:
    """Imports point inwards."""
    for line, name in imported(tree):
        if name.split(".")[0] == "accountd" and target(name) not in MAY_IMPORT[ring(path)]:
            yield f"{path}:{line} {ring(path)} imports {name}"


def breaks_doors(path: str, tree: ast.AST) -> Iterator[str]:
    """Each library that moves things is imported in one place."""
    for line, name in imported(tree):
        doors = DOORS.get(name.split(".")[0])
        if doors and not path.startswith(doors):
            yield f"{path}:{line} imports {name}, which only {' and '.join(doors)} may"


def is_relative(path: str, tree: ast.AST) -> Iterator[str]:
    """Imports are absolute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield f"{path}:{node.lineno} relative import"


def is_too_long(path: str, tree: ast.AST, source: str) -> Iterator[str]:
    """A file and a function are small enough to be read whole."""
    if (lines := source.count("\n")) > FILE_LINES:
        yield f"{path} has {lines} lines"
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                yield f"{path}:{node.lineno} {node.name} has {length} lines"


def lacks_docstring(path: str, tree: ast.Module) -> Iterator[str]:
    """A file begins with one sentence that says what it is."""
    first = (ast.get_docstring(tree) or "").split("\n\n")[0].replace("\n", " ")
    if not first.endswith((".", ":")) or ". " in first.replace("e.g. ", "").replace("i.e. ", ""):
        yield f"{path} does not begin with one sentence: {first!r}"


def uses_float(path: str, tree: ast.AST) -> Iterator[str]:
    """No float where money is."""
    if not path.startswith(FLOATLESS):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float":
            yield f"{path}:{node.lineno} calls float()"


def moves(path: str, tree: ast.AST) -> Iterator[str]:
    """The pure rings know no clock, no chance and no I/O: time and randomness are arguments."""
    if not path.startswith(MOTIONLESS):
        return
    for line, name in imported(tree):
        if name.split(".")[0] in IMPURE_MODULES:
            yield f"{path}:{line} imports {name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in IMPURE_CALLS:
            yield f"{path}:{node.lineno} calls {ast.unparse(node.func)}()"


def misses_cancellation(path: str, tree: ast.AST) -> Iterator[str]:
    """`asyncio.wait_for` loses a cancellation that arrives with a result, before Python 3.12."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("wait_for"):
            yield f"{path}:{node.lineno} calls wait_for(), use asyncio.timeout()"


def findings(path: str, source: str) -> list[str]:
    """Return every broken rule of one file."""
    tree = ast.parse(source)
    return [
        *breaks_rings(path, tree),
        *breaks_doors(path, tree),
        *is_relative(path, tree),
        *is_too_long(path, tree, source),
        *lacks_docstring(path, tree),
        *uses_float(path, tree),
        *moves(path, tree),
        *misses_cancellation(path, tree),
    ]


@pytest.mark.parametrize("path", [str(path.relative_to(ROOT)) for path in SHIPPED])
def test_file_keeps_the_rules(path):
    """Every shipped file keeps every rule of the house."""
    assert findings(path, (ROOT / path).read_text(encoding="utf-8")) == []


def test_every_folder_has_rules():
    """A new folder in the package must be given its place among the rings."""
    folders = {path.name for path in (ROOT / "accountd").iterdir() if path.is_dir()}
    rings = {name for name in folders if name.isidentifier() and not name.startswith("__")}
    assert rings - set(MAY_IMPORT) == set()


LONG_FUNCTION = "def f():\n" + "    a = 1\n" * FUNCTION_LINES


@pytest.mark.parametrize(
    ("path", "code", "told"),
    [
        ("accountd/core/x.py", "from accountd.store import tables", "core imports"),
        ("accountd/core/x.py", "from accountd import config", "core imports"),
        ("accountd/venues/x.py", "import accountd.runtime.rest", "venues imports"),
        ("accountd/store/x.py", "from accountd.venues.binance_usdm import decode", "store imports"),
        ("accountd/sinks/x.py", "def f():\n    from accountd.store import queries", "sinks imports"),
        ("accountd/runtime/x.py", "from accountd.cli import main", "runtime imports"),
        ("accountd/runtime/x.py", "from accountd.sim import exchange", "runtime imports"),
        ("accountd/web/x.py", "from accountd.runtime import daemon", "web imports"),
        ("accountd/sim/x.py", "from accountd.core import told", "sim imports"),
        ("accountd/sim/x.py", "from accountd.errors import VenueError", "sim imports"),
        ("accountd/config.py", "from accountd.store import tables", "root imports"),
        ("accountd/errors.py", "from accountd import config", "errors imports"),
        ("migrations/env.py", "from accountd.core import told", "migrations imports"),
        ("accountd/runtime/x.py", "import websockets", "which only"),
        ("accountd/runtime/x.py", "from apscheduler.triggers import interval", "which only"),
        ("accountd/cli/x.py", "from sqlalchemy import select", "which only"),
        ("accountd/web/x.py", "import httpx", "which only"),
        ("accountd/core/x.py", "from . import told", "relative import"),
        ("accountd/cli/x.py", "a = 1\n" * (FILE_LINES + 1), "lines"),
        ("accountd/cli/x.py", LONG_FUNCTION, "f has 61 lines"),
        ("accountd/core/x.py", "a = float('0.1')", "calls float()"),
        ("accountd/store/x.py", "a = float('0.1')", "calls float()"),
        ("accountd/core/x.py", "import time\na = time.time()", "calls time.time()"),
        ("accountd/venues/x.py", "from datetime import datetime\na = datetime.now()", "calls datetime.now()"),
        ("accountd/core/x.py", "import random", "imports random"),
        ("accountd/core/x.py", "import uuid\na = uuid.uuid4()", "calls uuid.uuid4()"),
        ("accountd/core/x.py", "import asyncio", "imports asyncio"),
        ("accountd/sinks/x.py", "import asyncio\nasyncio.wait_for(a, 1)", "calls wait_for()"),
    ],
)
def test_rule_bites(path, code, told):
    """A file that breaks a rule is reported, and for that rule alone."""
    found = findings(path, f'"""A file."""\n{code}\n')
    assert len(found) == 1
    assert told in found[0]


@pytest.mark.parametrize("source", ["a = 1\n", '"""Two things. In one file."""\n', '"""No end"""\n'])
def test_docstring_rule_bites(source):
    """A file without one opening sentence is reported."""
    assert len(findings("accountd/core/x.py", source)) == 1


def test_good_file_is_left_alone():
    """A file that keeps the rules is not reported."""
    source = '"""Writes."""\nimport sqlalchemy\nfrom accountd import config\nfrom accountd.core import told\n'
    assert findings("accountd/store/x.py", source) == []
