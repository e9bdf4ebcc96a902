"""What the cookbook shows works."""

import base64
import csv
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from accountd.sinks.webhook import sign

PAGE = (Path(__file__).parents[1] / "docs" / "cookbook.md").read_text(encoding="utf-8")
SECRET = "whsec_" + base64.b64encode(b"a secret of some length").decode()
BODY = '{"type":"fill","data":{"symbol":"ⓢ"}}'.encode()


def code(language, word):
    """Return the block in a language that holds a word."""
    (found,) = [block for block in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if word in block]
    return found


def headers(secret=SECRET, age=0):
    now = int(time.time()) - age
    keys = [b"another key", base64.b64decode(secret.removeprefix("whsec_"))]
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now),
        "webhook-signature": sign(keys, "msg_1", now, BODY),
    }


CASES = [
    (headers(), BODY, True),
    (headers(), BODY + b" ", False),
    (headers("whsec_" + base64.b64encode(b"stolen").decode()), BODY, False),
    (headers(age=1000), BODY, False),
]


@pytest.mark.parametrize(("head", "body", "good"), CASES)
def test_the_python_way_to_verify(head, body, good):
    """It takes what accountd signs, with either of two secrets, and nothing else."""
    space = {}
    exec(code("python", "def verify"), space)
    assert space["verify"](SECRET, head, body) is good


@pytest.mark.parametrize(("head", "body", "good"), CASES)
def test_the_javascript_way_to_verify(head, body, good):
    """The same in Node; without it, the script still says what is signed and compared."""
    script = code("javascript", "function verify")
    node = shutil.which("node")
    if node is None:
        assert all(word in script for word in ("timingSafeEqual", "webhook-timestamp", "sha256"))
        return
    call = f"verify({json.dumps(SECRET)}, {json.dumps(head)}, Buffer.from({json.dumps(body.decode())}))"
    done = subprocess.run(
        [node, "-e", f"{script}\nconsole.log({call})"], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout.strip() == str(good).lower()


def test_the_spreadsheet(tmp_path):
    """A fill on standard input becomes a line."""
    names = ("traded_at", "account", "symbol", "side", "price", "quantity", "commission", "commission_asset")
    body = json.dumps({"type": "fill", "data": {name: name.upper() for name in names}})
    sheet = tmp_path / "fills.csv"
    run = [sys.executable, "-c", code("python", "csv.writer"), str(sheet)]
    for n in (1, 2):
        env = {"ACCOUNTD_MESSAGE_ID": f"msg_{n}"}
        subprocess.run(run, input=body, text=True, check=True, timeout=20, env=env)
    lines = list(csv.reader(sheet.read_text().splitlines()))
    assert lines == [[f"msg_{n}", *(name.upper() for name in names)] for n in (1, 2)]
