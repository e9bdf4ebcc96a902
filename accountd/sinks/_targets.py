"""An HTTP target that is reached only at addresses that were looked at."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from accountd.errors import SinkError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]

REMEMBER = 60.0  # seconds; names are looked up again after that, or after a failed connection
IDLE = 4.0  # seconds that a connection is kept unused: many servers close theirs after five
# Threads of their own: those that read a database that hangs must not keep its alarm from going out.
_THREADS = ThreadPoolExecutor(4, thread_name_prefix="accountd-names")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Metadata services of clouds that not every Python counts as private (Azure, Oracle).
_METADATA = (ipaddress.ip_network("168.63.129.16/32"), ipaddress.ip_network("192.0.0.0/24"))


def is_public(text: str) -> bool:
    """Say whether an address is one of the public internet, also when it wraps an IPv4 address."""
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    return all(_is_public(each) for each in (address, *_wrapped(address)))


def _is_public(address: Address) -> bool:
    metadata = any(address in network for network in _METADATA)
    return address.is_global and not address.is_multicast and not metadata


def _wrapped(address: Address) -> list[Address]:
    """Return the IPv4 addresses that an IPv6 address leads to."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    inner: list[Address] = [each for each in (address.ipv4_mapped, address.sixtofour) if each]
    if address.teredo:
        inner.extend(address.teredo)
    if address in _NAT64:
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return inner


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host, in the order of the system's preference."""
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_THREADS, look_up)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _NoResolver(AbstractResolver):
    """Looks nothing up: whoever connects by name connects to what nobody has looked at."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        raise OSError("a name where an address should be")

    async def close(self) -> None:
        """Nothing is held."""


class Target:
    """Resolves its host, refuses it when any of its addresses is not public, connects to what it checked.

    Looking up and connecting by name in two steps would let the name change in between. ``Host`` and the
    name in the TLS handshake stay those of the URL. Nothing follows redirects, keeps cookies, unpacks a
    body, or goes through a proxy of the environment, which would connect to what was not checked.
    """

    def __init__(
        self,
        url: str,
        *,
        allow_private: bool,
        connect_timeout: float,
        resolve: Resolve = resolve,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        self._url = httpx.URL(url)
        self._secure = self._url.scheme == "https"
        self._host = self._url.raw_host.decode()
        self._port = self._url.port or (443 if self._secure else 80)
        self._netloc = self._url.netloc.decode()
        self._allow_private = allow_private
        self._connect_timeout = connect_timeout
        self._resolve = resolve
        self._verify = verify
        self._session: aiohttp.ClientSession | None = None
        self._known: tuple[float, list[tuple[URL, aiohttp.ClientTimeout]]] | None = None

    async def post(self, headers: Mapping[str, str], body: bytes) -> aiohttp.ClientResponse:
        """Post to the first checked address that takes the connection; return what came, its body unread.

        Raises:
            SinkError: the host has no address, or one that is not allowed.
            aiohttp.ClientError: no address takes the connection, or it breaks.
            TimeoutError: no address takes the connection in time.
        """
        if not self._secure and not self._allow_private:
            raise SinkError("refused: the target is not https")
        places = await self._places()
        session = self._session or self._open()
        refusal: Exception | None = None
        for url, timeout in places:
            try:
                return await session.post(
                    url, data=body, headers={**headers, "host": self._netloc}, allow_redirects=False,
                    server_hostname=self._host if self._secure else None, timeout=timeout,
                )  # fmt: skip
            except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError) as error:
                refusal = error
        self._known = None
        assert refusal is not None  # there is at least one address
        raise refusal

    def _open(self) -> aiohttp.ClientSession:
        trust = self._verify
        if trust is None and self._secure:
            trust = httpx.create_ssl_context()
            trust.set_alpn_protocols(["http/1.1"])
        connector = aiohttp.TCPConnector(
            resolver=_NoResolver(), ssl=trust or True, limit=0, keepalive_timeout=IDLE
        )
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False
        )
        return self._session

    async def _places(self) -> list[tuple[URL, aiohttp.ClientTimeout]]:
        """Return the URL by each address, with the time for its connection."""
        now = asyncio.get_running_loop().time()
        if self._known and now - self._known[0] < REMEMBER:
            return self._known[1]
        try:
            addresses = await self._resolve(self._host, self._port)
        except (OSError, UnicodeError):  # UnicodeError: no such name can exist
            raise SinkError("the target's name has no address") from None
        if not addresses:
            raise SinkError("the target's name has no address")
        if not self._allow_private and not all(is_public(address) for address in addresses):
            raise SinkError("refused: the target has an address that is not public")
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._connect_timeout / len(addresses))
        self._known = (now, [(self._at(address), timeout) for address in addresses])
        return self._known[1]

    def _at(self, address: str) -> URL:
        path, _, query = self._url.raw_path.decode().partition("?")
        host = f"[{address}]" if ":" in address else address
        return URL.build(
            scheme=self._url.scheme, host=host, port=self._port, path=path, query_string=query, encoded=True
        )

    async def close(self) -> None:
        """Close the connections that are kept."""
        if self._session is not None:
            await self._session.close()
            self._session = None
