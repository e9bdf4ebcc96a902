"""Checks a request's signature and timestamp over the bytes as they were sent."""

import base64
import binascii
import hashlib
import hmac
import re
from decimal import Decimal
from urllib.parse import parse_qsl, unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from accountd.sim import refusals
from accountd.sim.model import Credential

DEFAULT_WINDOW_MS = 5000
LARGEST_WINDOW_MS = 60_000
WINDOW = re.compile(r"[0-9]+")
SPOT_WINDOW = re.compile(r"[0-9]+(\.[0-9]{1,3})?")


def parameters(query: str, body: str) -> dict[str, str]:
    """Return the decoded parameters of query string and form body."""
    pairs = parse_qsl(query, keep_blank_values=True) + parse_qsl(body, keep_blank_values=True)
    return dict(pairs)


def split_signature(query: str, body: str) -> tuple[str, str]:
    """Return the signed payload (query plus body, no separator) and the decoded signature.

    Raises Refused: -1102 without a signature, -1022 if it is not the last parameter.
    """
    text, other = (body, query) if "signature=" in body else (query, "")
    head, found, signature = text.rpartition("signature=")
    if not found or not signature:
        raise refusals.missing("signature")
    if "&" in signature or (head and not head.endswith("&")):
        raise refusals.bad_signature()
    return (other + head.removesuffix("&")) + ("" if text is body else body), unquote(signature)


def verified(credential: Credential, payload: str, signature: str) -> bool:
    """Tell whether the signature of the payload belongs to the credential."""
    if credential.secret is not None:
        expected = hmac.new(credential.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected, signature.lower())
    if credential.public_key is None:
        return False
    key = load_pem_public_key(credential.public_key.encode())
    try:
        raw = base64.b64decode(signature, validate=True)
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(raw, payload.encode())
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(raw, payload.encode(), padding.PKCS1v15(), hashes.SHA256())
        else:
            return False
    except (InvalidSignature, binascii.Error):
        return False
    return True


def check_timestamp(params: dict[str, str], server_ms: int, *, spot: bool = False) -> None:
    """Apply `timestamp < server + 1000 and server - timestamp <= recvWindow`; times in ms.

    `spot` also takes a timestamp in µs and a recvWindow with up to three decimals.
    Raises Refused: -1102, -1130 or either text of -1021.
    """
    stamp, window = params.get("timestamp", "").strip(), params.get("recvWindow", str(DEFAULT_WINDOW_MS))
    if not stamp.isdigit():
        raise refusals.missing("timestamp")
    if not (SPOT_WINDOW if spot else WINDOW).fullmatch(window) or Decimal(window) > LARGEST_WINDOW_MS:
        raise refusals.bad_value("recvWindow")
    sent = Decimal(stamp) / 1000 if spot and len(stamp) >= 16 else Decimal(stamp)
    if sent >= server_ms + 1000:
        raise refusals.early_timestamp()
    if server_ms - sent > Decimal(window):
        raise refusals.stale_timestamp()


def check(credential: Credential, query: str, body: str, server_ms: int, *, spot: bool = False) -> None:
    """Check signature and timestamp of a signed request, under the rules of spot if asked for.

    Raises Refused with the venue's code: -1102, -1022, -1021 or -1130.
    """
    params = parameters(query, body)
    if not params.get("timestamp"):
        raise refusals.missing("timestamp")
    payload, signature = split_signature(query, body)
    if not verified(credential, payload, signature):
        raise refusals.bad_signature()
    check_timestamp(params, server_ms, spot=spot)


def check_sorted(credential: Credential, params: dict[str, str], server_ms: int) -> None:
    """Check a request of the WebSocket API: parameters sorted by name, as they are, without encoding.

    Raises Refused with the venue's code: -1102, -1022, -1021 or -1130.
    """
    for name in ("timestamp", "signature"):
        if not params.get(name):
            raise refusals.missing(name)
    payload = "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")
    if not verified(credential, payload, params["signature"]):
        raise refusals.bad_signature()
    check_timestamp(params, server_ms, spot=True)
