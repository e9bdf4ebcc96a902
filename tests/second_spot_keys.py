"""The three kinds of API key, as an exchange checks them: it holds a secret or a public key."""

import base64
import binascii
import hashlib
import hmac

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

API_KEY = "sK" * 32
SECRET = "quiet" * 12


class Key:
    """One key. ``way`` is hmac, rsa or ed25519; ``pem`` is its owner's half, locked where a word is given."""

    def __init__(self, way, passphrase=""):
        self.way = way
        self.public = self.pem = None
        if way == "hmac":
            return
        new_ed25519 = ed25519.Ed25519PrivateKey.generate
        private = rsa.generate_private_key(65537, 2048) if way == "rsa" else new_ed25519()
        self.public = private.public_key()
        lock = serialization.NoEncryption()
        if passphrase:
            lock = serialization.BestAvailableEncryption(passphrase.encode())
        form = serialization.PrivateFormat.PKCS8
        self.pem = private.private_bytes(serialization.Encoding.PEM, form, lock)

    def signed(self, payload, signature):
        """Say whether a signature is this key's, over these bytes."""
        if self.way == "hmac":
            told = hmac.new(SECRET.encode(), payload, hashlib.sha256).hexdigest()
            return hmac.compare_digest(told, signature.lower())
        try:
            raw = base64.b64decode(signature, validate=True)
            if self.way == "rsa":
                self.public.verify(raw, payload, padding.PKCS1v15(), hashes.SHA256())
            else:
                self.public.verify(raw, payload)
        except (InvalidSignature, binascii.Error):
            return False
        return True
