"""No secret reaches a log."""

import io
import json
import logging

import pytest
import structlog
from pydantic import SecretStr

from accountd.runtime import logs

SECRET = 's3cr3t/with+odd=chars"quote'


@pytest.fixture
def written():
    """Return the stream that logs go to, and put everything back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    held = logs._secrets.copy()
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    logs._secrets.clear()
    logs._secrets.update(held)
    logs.hide()


@pytest.mark.parametrize("form", ["json", "console"])
def test_secret_is_masked_everywhere(written, form):
    """A hidden value shows neither in a message, a field, a foreign logger nor a traceback."""
    logs.setup("debug", form, written)
    logs.hide(SecretStr(SECRET))
    log = structlog.get_logger("accountd.test")
    log.info("message " + SECRET, field=SECRET, nested={"a": [SECRET]})
    logging.getLogger("foreign").warning("it is %s", SECRET)
    try:
        raise ValueError(f"refused {SECRET}")
    except ValueError:
        log.exception("failed")
    text = written.getvalue()
    assert "failed" in text
    assert "refused" in text
    for shape in (SECRET, json.dumps(SECRET)[1:-1], "s3cr3t"):
        assert shape not in text


def test_quoted_secret_is_masked(written):
    """A secret inside a URL is masked although it is percent-encoded there."""
    logs.setup("info", "json", written)
    logs.hide(SECRET)
    structlog.get_logger().info("sent", url="https://host/?key=s3cr3t%2Fwith%2Bodd%3Dchars%22quote")
    assert "s3cr3t" not in written.getvalue()


def test_secret_that_contains_another_leaves_no_tail(written):
    """The longer of two secrets is masked first."""
    logs.hide("abcdef", "abcdefghij")
    assert logs.mask("x abcdefghij y abcdef") == "x *** y ***"


def test_json_is_one_object_a_line(written):
    """Elsewhere than on a terminal each line is an object with time, level, logger and message."""
    logs.setup("info", "auto", written)
    structlog.get_logger("accountd.test").info("started", number=3)
    logging.getLogger("foreign").error("told")
    ours, theirs = [json.loads(line) for line in written.getvalue().splitlines()]
    assert ours["message"] == "started"
    assert ours["number"] == 3
    assert ours["logger"] == "accountd.test"
    assert ours["level"] == "info"
    assert theirs["message"] == "told"


def test_chatty_libraries_are_quiet(written):
    """Libraries that write URLs at INFO do not write them here."""
    logs.setup("debug", "json", written)
    for name in (
        "httpx",
        "httpcore.connection",
        "websockets.client",
        "apscheduler.executors",
        "uvicorn.access",
    ):
        logging.getLogger(name).info("GET https://host/?secret")
    assert written.getvalue() == ""


def test_level_is_kept(written):
    """What is less severe than the level is not written."""
    logs.setup("warning", "json", written)
    structlog.get_logger().info("no")
    structlog.get_logger().warning("yes")
    assert [json.loads(line)["message"] for line in written.getvalue().splitlines()] == ["yes"]


def test_standard_error_is_looked_up_each_time(written, capsys):
    """Who replaces standard error, as a progress bar does, gets the lines from then on."""
    logs.setup("info", "json")
    structlog.get_logger().info("told")
    assert json.loads(capsys.readouterr().err)["message"] == "told"
