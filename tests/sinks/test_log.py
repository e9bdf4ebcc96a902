"""The log sink."""

from datetime import UTC, datetime

from structlog.testing import capture_logs

from accountd import sinks
from accountd.config import Hook
from accountd.sinks.base import Message


async def test_one_line_with_the_whole_alert():
    """A message is one log line that holds its id, type, time and data."""
    body = b'{"type":"fill","timestamp":"2026-11-01T12:00:00.000Z","data":{"price":"0.10","level":3}}'
    sink = sinks.make(Hook(type="log"))
    with capture_logs() as lines:
        await sink.send(Message(id="msg_1", type="fill", body=body, attempted_at=datetime.now(UTC)))
        await sink.close()
    assert lines == [
        {
            "event": "alert",
            "log_level": "info",
            "alert": "fill",
            "message_id": "msg_1",
            "at": "2026-11-01T12:00:00.000Z",
            "data": {"price": "0.10", "level": 3},
        }
    ]
