"""An account signs with exactly one key, and one that cannot sign is refused at once."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from accountd import config
from tests.settings import NO_SECRET


def pem(key, passphrase=None):
    lock = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)


@pytest.mark.parametrize(
    "key",
    [ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(public_exponent=65537, key_size=2048)],
)
def test_private_key_file_is_taken(settings, tmp_path, key):
    """An Ed25519 or RSA key in a file is accepted, encrypted or not, by relative path too."""
    (tmp_path / "key.pem").write_bytes(pem(key))
    file = {"ACCOUNTS__MAIN__PRIVATE_KEY_FILE": "key.pem"}
    account = settings.load(file, account=NO_SECRET).accounts["main"]
    assert account.private_key_file == tmp_path / "key.pem"
    (tmp_path / "key.pem").write_bytes(pem(key, b"open sesame"))
    word = {"ACCOUNTS__MAIN__PRIVATE_KEY_PASSPHRASE": "open sesame"}
    account = settings.load(file | word, account=NO_SECRET).accounts["main"]
    loaded = config.load_private_key(account.private_key_file, account.private_key_passphrase)
    assert loaded.public_key() == key.public_key()


@pytest.mark.parametrize(
    ("content", "word", "told"),
    [
        (None, None, "No such file"),
        (b"no key", None, "a readable PEM file"),
        (pem(ec.generate_private_key(ec.SECP256R1())), None, "Ed25519 or RSA"),
        (pem(ed25519.Ed25519PrivateKey.generate(), b"right"), None, "set PRIVATE_KEY_PASSPHRASE"),
        (pem(ed25519.Ed25519PrivateKey.generate(), b"right"), "hush", "passphrase is wrong"),
        (pem(ed25519.Ed25519PrivateKey.generate()), "hush", "it is not encrypted"),
    ],
)
def test_unusable_key_file_is_refused(settings, tmp_path, content, word, told):
    """A key file that cannot sign is refused before anything connects."""
    if content:
        (tmp_path / "key.pem").write_bytes(content)
    written = {"ACCOUNTS__MAIN__PRIVATE_KEY_FILE": "key.pem"}
    if word:
        written["ACCOUNTS__MAIN__PRIVATE_KEY_PASSPHRASE"] = word
    (line,) = settings.refused(written, account=NO_SECRET)
    assert line.startswith("ACCOUNTD_ACCOUNTS__MAIN__PRIVATE_KEY_FILE: ")
    assert told in line
    assert "hush" not in line


def test_there_is_exactly_one_key(settings, tmp_path):
    """A secret and a key file together, or neither, are refused."""
    (tmp_path / "key.pem").write_bytes(pem(ed25519.Ed25519PrivateKey.generate()))
    (line,) = settings.refused({"ACCOUNTS__MAIN__PRIVATE_KEY_FILE": "key.pem"})
    assert "not both" in line
    assert settings.refused(account=NO_SECRET) == [
        "ACCOUNTD_ACCOUNTS__MAIN__API_SECRET: required (or PRIVATE_KEY_FILE for an Ed25519 or RSA key)"
    ]
