"""Which addresses a webhook may connect to, and that it connects to no other."""

import ssl
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from accountd.errors import SinkError
from accountd.sinks._targets import Target, is_public
from tests.sinks.receivers import receiver, status

NAME = "hooks.example.com"


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses(address):
    """The public internet may be connected to."""
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.3.4", "192.168.1.1", "100.64.0.1",
        "169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "224.0.0.1", "239.1.2.3",
        "255.255.255.255", "240.0.0.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254",
        "ff02::1", "ff0e::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
        "2001:0:7f00:1::", "2001:db8::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address):
    """Loopback, private, link-local, multicast, reserved, metadata, and what wraps any of them."""
    assert not is_public(address)


class Post:
    """A target whose name leads to the given addresses; ``asked`` is what was looked up."""

    def __init__(self, url, addresses, *, allow_private=False, verify=None):
        self.addresses, self.asked = addresses, []
        self.target = Target(
            url, allow_private=allow_private, connect_timeout=1.0, resolve=self.resolve, verify=verify
        )

    async def resolve(self, host, port):
        self.asked.append((host, port))
        if isinstance(self.addresses, Exception):
            raise self.addresses
        return self.addresses

    async def __aenter__(self):
        return self

    async def __aexit__(self, *failure):
        await self.target.close()

    async def send(self):
        """Post once; return the status."""
        reply = await self.target.post({"webhook-id": "msg_1"}, b"{}")
        await reply.read()
        return reply.status


def port_of(there):
    return int(there.url.split(":")[2].split("/")[0])


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["fe80::1%eth0"], ["169.254.169.254"]]
)
async def test_one_address_that_is_not_public_is_enough(addresses):
    """A name with a public and a private address is refused before anything is connected."""
    async with Post(f"https://{NAME}/", addresses) as post:
        with pytest.raises(SinkError, match="not public") as caught:
            await post.send()
    assert not caught.value.permanent


async def test_plain_http_is_refused():
    """http:// needs ALLOW_PRIVATE, whatever the address."""
    async with Post(f"http://{NAME}/", ["8.8.8.8"]) as post:
        with pytest.raises(SinkError, match="not https"):
            await post.send()
    assert post.asked == []


@pytest.mark.parametrize("addresses", [OSError("no such name"), []])
async def test_a_name_without_an_address(addresses):
    """A name that leads nowhere is a failure that may pass."""
    async with Post(f"https://{NAME}/", addresses) as post:
        with pytest.raises(SinkError, match="no address") as caught:
            await post.send()
    assert not caught.value.permanent


async def test_it_connects_to_the_checked_address_under_the_old_name():
    """The name is looked up once, the connection goes to what it led to, and Host stays the name."""
    async with receiver(status(200, body=b"ok")) as there:
        url = f"http://{NAME}:{port_of(there)}/a%2Fb?c=%2f&d=%20"
        async with Post(url, ["127.0.0.1"], allow_private=True) as post:
            for _ in range(2):
                await post.send()
    assert post.asked == [(NAME, port_of(there))]
    assert {request.headers["host"] for request in there.seen} == {f"{NAME}:{port_of(there)}"}
    assert {request.path for request in there.seen} == {"/a%2Fb?c=%2f&d=%20"}
    assert there.connections == 1


async def test_the_library_looks_up_nothing():
    """Whatever name reached the connection, nobody would say where it leads."""

    async def leads(host, port):
        return ["localhost"]

    target = Target("http://localhost/", allow_private=True, connect_timeout=1.0, resolve=leads)
    try:
        with pytest.raises(aiohttp.ClientConnectorDNSError):
            await target.post({}, b"{}")
    finally:
        await target.close()


@pytest.mark.parametrize("away", ["127.0.0.2", "::1"])
async def test_the_next_address_is_tried(away):
    """An address that takes no connection is followed by the next one."""
    async with receiver(status(200)) as there:
        url = f"http://{NAME}:{port_of(there)}/hook"
        async with Post(url, [away, "127.0.0.1"], allow_private=True) as post:
            assert await post.send() == 200
    assert there.seen[0].body == b"{}"


async def test_a_failed_connection_is_looked_up_again():
    """A receiver that moved is found at once."""
    async with receiver() as there:
        url = f"http://{NAME}:{port_of(there)}/"
    async with Post(url, ["127.0.0.1"], allow_private=True) as post:
        for _ in range(2):
            with pytest.raises(aiohttp.ClientConnectorError):
                await post.send()
    assert len(post.asked) == 2


@pytest.fixture
def certificate(tmp_path):
    """A certificate for NAME that its own file vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "both.pem"
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file.write_bytes(key.private_bytes(pem, *plain) + made.public_bytes(pem))
    return file


async def test_the_certificate_is_checked_against_the_name(certificate):
    """Though the connection goes to an address, TLS asks for the name, and no other name will do."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    trust = ssl.create_default_context(cafile=certificate)
    async with receiver(status(200), ssl=server) as there:
        port = port_of(there)
        url = f"https://{NAME}:{port}/hook"
        async with Post(url, ["127.0.0.1"], allow_private=True, verify=trust) as post:
            assert await post.send() == 200
        url = f"https://other.example.com:{port}/hook"
        async with Post(url, ["127.0.0.1"], allow_private=True, verify=trust) as post:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await post.send()
        async with Post(url, ["127.0.0.1"], allow_private=True) as post:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await post.send()
    assert len(there.seen) == 1
