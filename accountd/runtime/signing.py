"""Signatures over requests: HMAC, RSA and Ed25519 keys behind one verb."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from accountd.config import Account, load_private_key
from accountd.errors import SettingsError


class Signer(Protocol):
    """What turns a payload into the text of its signature, not yet percent-encoded."""

    def sign(self, payload: bytes) -> str: ...


class HmacSigner:
    """HMAC-SHA256, lower-case hex."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def __repr__(self) -> str:
        return "HmacSigner(...)"

    def sign(self, payload: bytes) -> str:
        """Return the hex digest."""
        return hmac.new(self._secret, payload, hashlib.sha256).hexdigest()


class RsaSigner:
    """RSASSA-PKCS1-v1_5 with SHA-256, base64."""

    def __init__(self, key: RSAPrivateKey) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "RsaSigner(...)"

    def sign(self, payload: bytes) -> str:
        """Return the signature in base64."""
        return base64.b64encode(self._key.sign(payload, PKCS1v15(), SHA256())).decode()


class Ed25519Signer:
    """Ed25519, base64."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "Ed25519Signer(...)"

    def sign(self, payload: bytes) -> str:
        """Return the signature in base64."""
        return base64.b64encode(self._key.sign(payload)).decode()


def ws_payload(params: Mapping[str, str | int]) -> bytes:
    """Return what is signed on a WebSocket API: all parameters by name, and none percent-encoded.

    Venue page followed: binance-spot-api-docs web-socket-api, "SIGNED request security".
    """
    return "&".join(f"{name}={params[name]}" for name in sorted(params)).encode()


def ws_params(
    signer: Signer, api_key: str, params: Mapping[str, str | int], timestamp: int, recv_window: int
) -> dict[str, str | int]:
    """Return the parameters of a signed WebSocket request; times in ms."""
    told = {**params, "apiKey": api_key, "recvWindow": recv_window, "timestamp": timestamp}
    return {**told, "signature": signer.sign(ws_payload(told))}


def signer_of(account: Account) -> Signer:
    """Return what signs for an account: its secret, or the key in its file.

    Raises:
        SettingsError: the file is not usable any more, or there is neither.
    """
    if account.private_key_file is not None:
        try:
            key = load_private_key(account.private_key_file, account.private_key_passphrase)
        except ValueError as refusal:
            raise SettingsError(f"PRIVATE_KEY_FILE: {refusal}") from refusal
        return Ed25519Signer(key) if isinstance(key, Ed25519PrivateKey) else RsaSigner(key)
    if account.api_secret is None:
        raise SettingsError("API_SECRET: required (or PRIVATE_KEY_FILE)")
    return HmacSigner(account.api_secret.get_secret_value())
