"""Everything that can go wrong, on one page.

AccountdError
├── SettingsError            the settings are not usable                      exit 2
│   └── QueryRefused           SQL that does not only read                    exit 2
├── DatabaseError            the record cannot be written or read
│   ├── DatabaseGone           no connection; try again
│   │   └── DatabaseSlow         a read took longer than it may
│   ├── DatabaseFull           no space left; try again
│   ├── DatabaseFailed         the disk or the server lost a write; stop
│   ├── RecordRefused          a row breaks a rule of the record; a bug
│   ├── SchemaTooNew           written by a newer accountd
│   ├── SchemaTooOld           not migrated yet
│   └── SchemaBusy             another process migrates
├── Fenced                   another worker took this account over
├── VenueError               the venue said no, or said nothing
│   ├── RateLimited  Banned    429, 418
│   ├── KeyRefused             wrong key, rights or address
│   ├── ClockSkew              -1021
│   ├── ListenKeyGone          -1125
│   ├── BadRequest             ours to mend
│   ├── VenueUnavailable       5xx, time-out, no route, no sense in the reply
│   └── VenueGone              this product or address is closed for ever
└── SinkError                an alert was not taken

The docstring of a class is its default message. `permanent` decides retry: True means that the same
attempt cannot succeed later. Foreign exceptions are translated once, where they enter.
"""


class AccountdError(Exception):
    """accountd cannot go on."""

    permanent = False

    def __init__(self, message: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip().partition("\n")[0]
        super().__init__(self.message)


class SettingsError(AccountdError):
    """The settings are not usable.

    `lines` holds one line for each bad value: the setting, its value unless it is secret, what is allowed.
    """

    permanent = True

    def __init__(self, *lines: str) -> None:
        self.lines = lines
        super().__init__("\n".join(lines) or None)


class QueryRefused(SettingsError):
    """The query does not only read."""


class DatabaseError(AccountdError):
    """The database refused."""


class DatabaseGone(DatabaseError):
    """The database does not answer."""


class DatabaseSlow(DatabaseGone):
    """The database did not answer in the time that a reader may take; ask for less, or later."""


class DatabaseFull(DatabaseError):
    """The disk of the database is full."""


class DatabaseFailed(DatabaseError):
    """The database lost a write or cannot be trusted any more."""

    permanent = True


class RecordRefused(DatabaseError):
    """A row breaks a rule of the record; this is a bug of accountd."""

    permanent = True


class SchemaTooNew(DatabaseError):
    """The database was written by a newer accountd; run that version or restore a backup."""

    permanent = True


class SchemaTooOld(DatabaseError):
    """The database is older than this accountd; `accountd run` or `accountd db upgrade` brings it up."""

    permanent = True


class SchemaBusy(DatabaseError):
    """Another process is changing the schema of the database."""


class Fenced(AccountdError):
    """Another worker has taken this account over."""

    permanent = True


class VenueError(AccountdError):
    """The venue refused a request.

    `status` is the HTTP status, `code` the venue's own number, `retry_after` seconds to wait;
    each may be None.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        status: int | None = None,
        code: int | None = None,
        retry_after: float | None = None,
        permanent: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after = retry_after
        if permanent is not None:
            self.permanent = permanent


class RateLimited(VenueError):
    """The venue asks for fewer requests (429). ``told_end``: it says for how long."""

    told_end = True


class Banned(RateLimited):
    """The venue has banned this address for a while (418)."""


class KeyRefused(VenueError):
    """The venue refuses the API key: wrong key, signature, rights or address."""

    permanent = True


class ClockSkew(VenueError):
    """The venue finds the request's timestamp outside its window (-1021)."""


class ListenKeyGone(VenueError):
    """The listen key does not exist any more (-1125)."""


class BadRequest(VenueError):
    """The venue does not accept the request as it is; sending it again cannot help."""

    permanent = True


class VenueUnavailable(VenueError):
    """The venue does not answer, or not in its own language."""


class VenueGone(VenueError):
    """The venue has closed this product or address for good."""

    permanent = True


class SinkError(AccountdError):
    """The alert was not taken.

    `status` is the HTTP status or exit code, `retry_after` seconds to wait; each may be None.
    """

    def __init__(
        self,
        message: str | None = None,
        permanent: bool = False,
        retry_after: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after
        self.status = status
