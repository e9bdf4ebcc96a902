"""What the venue answers when it says no: HTTP status, code and the official wording."""

from typing import Any


class Refused(Exception):
    """A request that the venue answers with an error body."""

    def __init__(self, status: int, code: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.retry_after = status, code, message, retry_after

    @property
    def body(self) -> dict[str, Any]:
        """Return the error body."""
        return {"code": self.code, "msg": self.message}


def missing(name: str) -> Refused:
    """-1102: a mandatory parameter is absent, empty or malformed."""
    text = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    return Refused(400, -1102, text)


def bad_value(name: str) -> Refused:
    """-1130: a parameter has a value that it cannot have."""
    return Refused(400, -1130, f"Data sent for parameter '{name}' is not valid.")


def bad_combination() -> Refused:
    """-1128: two parameters exclude each other."""
    return Refused(400, -1128, "Combination of optional parameters invalid.")


def window_too_big(hours: int) -> Refused:
    """-1127: the window between startTime and endTime is too long."""
    return Refused(
        400, -1127, f"Lookup interval is too big. More than {hours} hours between startTime and endTime."
    )


def too_many(limit: int, retry_after: int | None) -> Refused:
    """429: the weight of the minute is used up."""
    text = (
        f"Too many requests; current limit is {limit} requests per minute. "
        "Please use the websocket for live updates to avoid polling the API."
    )
    return Refused(429, -1003, text, retry_after)


def banned(until_ms: int, retry_after: int | None) -> Refused:
    """418: the address is banned until a time in ms."""
    text = (
        f"Way too many requests; IP banned until {until_ms}. "
        "Please use the websocket for live updates to avoid bans."
    )
    return Refused(418, -1003, text, retry_after)


def unknown_path(method: str, path: str) -> Refused:
    """404: there is no such endpoint."""
    return Refused(404, -5000, f"Path {path}, Method {method} is invalid")


def invalid_symbol() -> Refused:
    """-1121."""
    return Refused(400, -1121, "Invalid symbol.")


def no_listen_key() -> Refused:
    """-1125."""
    return Refused(400, -1125, "This listenKey does not exist.")


def no_order() -> Refused:
    """-2013."""
    return Refused(400, -2013, "Order does not exist.")


def key_format() -> Refused:
    """-2014: no key, or something that cannot be one."""
    return Refused(401, -2014, "API-key format invalid.")


def key_unknown() -> Refused:
    """-2015: unknown key, or one without the right."""
    return Refused(401, -2015, "Invalid API-key, IP, or permissions for action.")


def bad_signature() -> Refused:
    """-1022."""
    return Refused(400, -1022, "Signature for this request is not valid.")


def stale_timestamp() -> Refused:
    """-1021: the request arrived later than its recvWindow allows."""
    return Refused(400, -1021, "Timestamp for this request is outside of the recvWindow.")


def early_timestamp() -> Refused:
    """-1021: the request claims a time in the venue's future."""
    return Refused(400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.")
