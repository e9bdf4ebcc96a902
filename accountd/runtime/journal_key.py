"""The key that signs checkpoints: a file of its owner only, never in the database."""

from __future__ import annotations

import os
from base64 import b64decode
from binascii import Error as Base64Error
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from accountd.core.checkpoint import ORIGIN
from accountd.errors import SettingsError
from accountd.settings_model import Settings
from accountd.store.engine import parse, sqlite_file

SETTING = "ACCOUNTD_JOURNAL__KEY_FILE"
DEFAULT = "accountd.key"
_RAW = 32  # bytes of a public key


def path_of(settings: Settings) -> Path:
    """Return where the key is: as set, else beside an SQLite file, else in the working folder."""
    if settings.journal.key_file is not None:
        return settings.journal.key_file
    url = parse(settings.database_url)
    if url.get_backend_name() != "sqlite":
        return Path(DEFAULT)
    file = sqlite_file(url)
    return file.with_name(file.name + ".key")


def make(path: Path) -> Ed25519PrivateKey:
    """Make a key and write it for its owner only.

    Raises:
        FileExistsError: there is a file of this name, which is left as it is.
        OSError: it cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    # Written whole under another name first: nobody may find half a key.
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    finally:
        draft.unlink()
    return key


def load(path: Path) -> Ed25519PrivateKey:
    """Read the key.

    Raises:
        SettingsError: the file is unreadable or holds no Ed25519 private key.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as refusal:
        raise SettingsError(f"{SETTING}: {path}: {refusal.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(f"{SETTING}: {path}: a PEM file with an unencrypted Ed25519 private key")
    return key


def ensure(path: Path) -> Ed25519PrivateKey:
    """Read the key, or make it when it is not there.

    Raises:
        SettingsError: it can be neither read nor made.
    """
    if not path.exists():
        try:
            return make(path)
        except FileExistsError:
            pass  # another process made it meanwhile
        except OSError as refusal:
            raise SettingsError(f"{SETTING}: {path}: {refusal.strerror}") from None
    return load(path)


def public(written: str) -> bytes:
    """Return the public key that a person names: a file (PEM, or text), base64, or name+id+base64.

    Raises:
        SettingsError: it names none.
    """
    data = written.encode()
    try:
        if len(written) < 4096 and Path(written).is_file():
            data = Path(written).read_bytes()
        if b"PRIVATE KEY" in data:
            found = load_pem_private_key(data, None)
            if isinstance(found, Ed25519PrivateKey):
                return found.public_key().public_bytes_raw()
        elif data.lstrip().startswith(b"-----BEGIN"):
            other = load_pem_public_key(data)
            if isinstance(other, Ed25519PublicKey):
                return other.public_bytes_raw()
        else:
            return _raw(data.decode().strip())
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm, Base64Error):
        pass  # whatever was wrong with it, the answer is the same
    raise SettingsError("--key: a file with an Ed25519 key, its 32 public bytes in base64, or name+id+base64")


def _raw(text: str) -> bytes:
    """Read 32 bytes in base64, or behind the algorithm's byte in the form name+id+base64."""
    parts = text.split("+", 2)
    named = len(parts) == 3 and text.startswith(ORIGIN)
    data = b64decode(parts[2] if named else text, validate=True)
    if named and data[:1] == b"\x01":
        data = data[1:]
    if len(data) != _RAW:
        raise ValueError("another length")
    return data
