"""The words in which settings are written: durations, lists, addresses, URLs and keys.

Each reader takes what was written (text from the environment, or a TOML value) and raises ValueError with
nothing but what is allowed; who calls it adds the name of the setting and, where it is not secret, the value.
"""

import base64
import binascii
import ipaddress
import json
import re
import shlex
from collections.abc import Callable, Collection
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import BeforeValidator, PlainValidator, SecretStr

DURATION = "a duration above zero such as 500ms, 0.5s, 30m, 23h or 30d"
UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
LONGEST = timedelta(days=36500)
# An @ in the password would make a part of it the host, which errors name.
POSTGRES = re.compile(
    r"postgresql://(?=.)(?:[^:/]*(?::[^@]*)?@)?(?:\[[0-9A-Fa-f:.%]+\]|[^/:?@\[\]\s]*)(?::[0-9]{1,5})?(?:[/?].*)?"
)
LOOPBACK_NAMES = ("localhost", "localhost.localdomain")


def read_duration(written: object) -> timedelta:
    """Read `500ms 0.5s 30m 23h 30d`; a bare number is refused because nobody can tell its unit."""
    if isinstance(written, timedelta):
        return written
    match = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)", str(written).strip())
    if not match or not isinstance(written, str):
        raise ValueError(DURATION)
    number = float(match[1])
    if UNITS[match[2]] == "days" and number > LONGEST.days:
        raise ValueError(f"{DURATION}, at most {LONGEST.days}d")
    length = timedelta(**{UNITS[match[2]]: number})
    if not timedelta(0) < length <= LONGEST:
        raise ValueError(DURATION)
    return length


def read_keepalive(written: object) -> timedelta:
    """Read the time between renewals; a listen key lives 60 minutes, so 50 leaves room for a failed one."""
    length = read_duration(written)
    if length > timedelta(minutes=50):
        raise ValueError("at most 50m")
    return length


def read_backfill(written: object) -> timedelta | None:
    """Read how far back the first sync goes; `max` becomes None: all that the venue keeps."""
    if written is None or (isinstance(written, str) and written.strip().lower() == "max"):
        return None
    try:
        return read_duration(written)
    except ValueError as refusal:
        raise ValueError(f'{refusal}, or "max"') from None


def read_budget(written: object, example: str = "150/5m") -> tuple[int, timedelta]:
    """Read `150/5m`: so many in so long."""
    if isinstance(written, tuple):
        return written
    count, _, window = str(written).partition("/")
    try:
        if not re.fullmatch(r"[0-9]{1,9}", count.strip()) or not int(count):
            raise ValueError
        return int(count), read_duration(window.strip())
    except ValueError:
        raise ValueError(f"a count and a duration such as {example}") from None


def read_words(written: object) -> tuple[str, ...]:
    """Read a JSON list (environment) or a TOML array of non-empty strings."""
    if isinstance(written, str):
        try:
            written = json.loads(written)
        except ValueError:
            raise ValueError('a JSON list of strings such as ["a", "b"]') from None
    if not isinstance(written, (list, tuple)) or not all(isinstance(word, str) and word for word in written):
        raise ValueError('a list of strings such as ["a", "b"]')
    return tuple(written)


def read_retry(written: object) -> tuple[timedelta, ...]:
    """Read the waits between attempts; an empty list means one attempt."""
    if isinstance(written, tuple):
        return written
    try:
        return tuple(read_duration(word) for word in read_words(written))
    except ValueError:
        raise ValueError('a list of durations such as ["5s", "30s", "2m"]') from None


def read_argv(written: object) -> tuple[str, ...]:
    """Read a command line: a JSON list of arguments, or text split as a shell would split it."""
    try:
        if isinstance(written, str) and not written.lstrip().startswith("["):
            argv = tuple(shlex.split(written))
        else:
            argv = read_words(written)
    except ValueError:
        argv = ()
    if not argv:
        raise ValueError('a command such as /usr/bin/notify -u, or a JSON list ["/usr/bin/notify", "-u"]')
    return argv


def read_listen(written: object) -> tuple[str, int] | None:
    """Read `host:port` (port 0 lets the system choose); empty turns the listener off."""
    if written is None or written == "":
        return None
    if isinstance(written, tuple):
        return written
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})", str(written).strip())
    if not match or int(match[2]) > 65535:
        raise ValueError("host:port such as 127.0.0.1:8787, or empty to turn the web off")
    return match[1].strip("[]"), int(match[2])


def read_database_url(written: object) -> str:
    """Read the database's address; `postgres://` is spelt out, as SQLAlchemy knows only the long name."""
    url = str(written).strip()
    if url.startswith("postgres://"):
        url = "postgresql://" + url.removeprefix("postgres://")
    if url.startswith("sqlite:///") and url != "sqlite:///":
        return url
    if POSTGRES.fullmatch(url):
        return url
    hint = " (an @ inside the password is written %40)" if url.count("@") > 1 else ""
    raise ValueError(f"sqlite:///path or postgresql://user:password@host/database{hint}")


def read_base_url(*schemes: str) -> Callable[[object], str | None]:
    """Return a reader of scheme://host[:port]; the venue file adds the paths."""
    allowed = " or ".join(f"{scheme}://host[:port]" for scheme in schemes) + ", without a path"

    def read(written: object) -> str | None:
        if written is None:
            return None
        try:
            url = urlsplit(str(written).strip())
            bare = not (url.path.strip("/") or url.query or url.fragment or "@" in url.netloc)
            usable = url.scheme in schemes and bool(url.hostname) and bare and url.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise ValueError(allowed)
        return f"{url.scheme}://{url.netloc}"

    return read


def read_hook_url(written: object) -> str | None:
    """Read where a hook sends to; what is allowed there depends on the rest of the hook."""
    if written is None:
        return None
    url = str(written).strip()
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://\S", url) or not url.isprintable():
        raise ValueError("an address such as https://example.com/hook")
    return url


def is_web_address(written: str, schemes: Collection[str] = ()) -> bool:
    """Tell whether an address has a host and, if any, a port that can be, and one of ``schemes``, if any."""
    try:
        url = urlsplit(written)
        named = bool(url.netloc and url.hostname) and not re.search(r"\s", url.netloc)
        return named and url.port != 0 and (not schemes or url.scheme in schemes)
    except ValueError:
        return False


def read_subject(written: object) -> str:
    """Read how the subjects of a message queue begin: words with dots between, and no wildcards."""
    word = str(written).strip()
    if not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", word):
        raise ValueError("words with dots between them, such as accountd or desk.accountd")
    return word


def read_maybe_duration(written: object) -> timedelta | None:
    """Read a duration; None or `off` for none."""
    if written is None or (isinstance(written, str) and written.strip().lower() == "off"):
        return None
    return read_duration(written)


def read_secret(written: object) -> SecretStr | None:
    """Read a secret; blanks inside are a copying mistake that a venue would report as a bad signature."""
    if written is None or isinstance(written, SecretStr):
        return written
    if not isinstance(written, str) or not written.strip():
        raise ValueError("text")
    if re.search(r"\s", written.strip()) or not written.isprintable():
        raise ValueError("text without spaces or line breaks")
    return SecretStr(written.strip())


def read_api_key(written: object) -> SecretStr | None:
    """Read what is sent as a header of every request: ASCII, or no request could be written."""
    key = read_secret(written)
    if key is not None and not key.get_secret_value().isascii():
        raise ValueError("text in ASCII, without spaces or line breaks")
    return key


def read_passphrase(written: object) -> SecretStr | None:
    """Read a passphrase, in which blanks are allowed."""
    if written is None or isinstance(written, SecretStr):
        return written
    if not isinstance(written, str):
        raise ValueError("text")
    return SecretStr(written)


def read_signing_secrets(written: object) -> tuple[SecretStr, ...]:
    """Read one signing secret, or several (a list, or separated by blanks) while one replaces the other."""
    allowed = "whsec_ followed by base64; while rotating, two of them separated by a space"
    try:
        bracket = isinstance(written, str) and written.lstrip().startswith("[")
        words: Any = json.loads(str(written)) if bracket else written
    except ValueError:
        raise ValueError(allowed) from None
    words = words.split() if isinstance(words, str) else words
    if not isinstance(words, (list, tuple)):
        raise ValueError(allowed)
    secrets = [word.get_secret_value() if isinstance(word, SecretStr) else word for word in words]
    for secret in secrets:
        if not isinstance(secret, str) or not secret.startswith("whsec_"):
            raise ValueError(allowed)
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError(allowed) from None
        if not key:
            raise ValueError(allowed)
    return tuple(SecretStr(secret) for secret in secrets)


def load_private_key(path: Path, passphrase: SecretStr | None) -> Ed25519PrivateKey | RSAPrivateKey:
    """Load the key that signs requests.

    Raises:
        ValueError: the file is unreadable, no PEM, of another kind, or the passphrase does not open it.
    """
    allowed = "a readable PEM file with an Ed25519 or RSA private key"
    try:
        pem = path.expanduser().read_bytes()
    except OSError as refusal:
        raise ValueError(f"{allowed} ({refusal.strerror})") from None
    word = passphrase.get_secret_value().encode() if passphrase else None
    try:
        key = load_pem_private_key(pem, word)
    except TypeError:
        hint = "it is not encrypted" if word else "it is encrypted, set PRIVATE_KEY_PASSPHRASE"
        raise ValueError(f"{allowed} ({hint})") from None
    except (ValueError, UnsupportedAlgorithm):
        hint = " (or the passphrase is wrong)" if word else ""
        raise ValueError(allowed + hint) from None
    if not isinstance(key, (Ed25519PrivateKey, RSAPrivateKey)):
        raise ValueError(allowed)
    return key


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() in LOOPBACK_NAMES


def is_private(host: str) -> bool:
    """Tell whether `host` names, without asking DNS, a place that the public internet cannot reach."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host.lower() in LOOPBACK_NAMES or host.lower().endswith(".localhost")


def one_of(*words: str) -> BeforeValidator:
    """Return a validator that takes one of `words` in any case."""

    def read(written: object) -> str:
        word = written.strip().lower() if isinstance(written, str) else ""
        if word not in words:
            raise ValueError("one of " + ", ".join(words))
        return word

    return BeforeValidator(read)


def whole(least: int, most: int) -> BeforeValidator:
    """Return a validator that takes a whole number between `least` and `most`."""

    def read(written: object) -> int:
        if isinstance(written, bool) or not re.fullmatch(r"[0-9]{1,12}", str(written).strip()):
            raise ValueError(f"a whole number from {least} to {most}")
        if not least <= (number := int(str(written))) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return number

    return BeforeValidator(read)


def read_share(written: object) -> float:
    """Read a part of a whole: above 0, at most 1."""
    text = str(written).strip()
    if isinstance(written, bool) or not re.fullmatch(r"[0-9]*\.?[0-9]+", text) or not 0 < float(text) <= 1:
        raise ValueError("a number above 0 and at most 1, such as 0.5")
    return float(text)


def read_truth(written: object) -> bool:
    """Read true or false."""
    if isinstance(written, bool):
        return written
    if str(written).strip().lower() not in ("true", "false"):
        raise ValueError("true or false")
    return str(written).strip().lower() == "true"


Duration = Annotated[timedelta, PlainValidator(read_duration)]
KeepAlive = Annotated[timedelta, PlainValidator(read_keepalive)]
Backfill = Annotated[timedelta | None, PlainValidator(read_backfill)]
Budget = Annotated[tuple[int, timedelta], PlainValidator(read_budget)]
Words = Annotated[tuple[str, ...], PlainValidator(read_words)]
Retry = Annotated[tuple[timedelta, ...], PlainValidator(read_retry)]
Argv = Annotated[tuple[str, ...], PlainValidator(read_argv)]
Listen = Annotated[tuple[str, int] | None, PlainValidator(read_listen)]
DatabaseUrl = Annotated[str, PlainValidator(read_database_url)]
HttpBase = Annotated[str | None, PlainValidator(read_base_url("https", "http"))]
SocketBase = Annotated[str | None, PlainValidator(read_base_url("wss", "ws"))]
HookUrl = Annotated[str | None, PlainValidator(read_hook_url)]
Secret = Annotated[SecretStr | None, PlainValidator(read_secret)]
Passphrase = Annotated[SecretStr | None, PlainValidator(read_passphrase)]
SigningSecrets = Annotated[tuple[SecretStr, ...], PlainValidator(read_signing_secrets)]
Share = Annotated[float, PlainValidator(read_share)]
Truth = Annotated[bool, PlainValidator(read_truth)]
