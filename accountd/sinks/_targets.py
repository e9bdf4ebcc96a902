"""An HTTP transport that connects only to addresses that it has looked at."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx

from accountd.errors import SinkError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]

REMEMBER = 60.0  # seconds; names are looked up again after that, or after a failed connection
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


class PinnedTransport(httpx.AsyncHTTPTransport):
    """Resolves the host, refuses it when any of its addresses is not public, connects to what it checked.

    Looking up and connecting by name in two steps would let the name change in between. ``Host`` and the
    name in the TLS handshake stay those of the URL. One transport serves one target: connections are kept
    by address.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        connect_timeout: float,
        resolve: Resolve = resolve,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(verify=verify or True, trust_env=True, retries=0)
        self._allow_private = allow_private
        self._connect_timeout = connect_timeout
        self._resolve = resolve
        self._known: tuple[float, list[str]] | None = None
        self._urls: dict[tuple[httpx.URL, str], httpx.URL] = {}  # by address, of what is known

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request to the first checked address that takes the connection.

        Raises:
            SinkError: the host has no address, or one that is not allowed.
            httpx.TransportError: no address takes the connection, or it breaks.
        """
        host = request.url.host
        if request.url.scheme != "https" and not self._allow_private:
            raise SinkError("refused: the target is not https")
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        addresses = await self._addresses(host, port)
        refusal: httpx.TransportError | None = None
        for address in addresses:
            try:
                pinned = self._pinned(request, host, address, len(addresses))
                return await super().handle_async_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                refusal = error
        self._known = None
        assert refusal is not None  # there is at least one address
        raise refusal

    def _pinned(self, request: httpx.Request, host: str, address: str, among: int) -> httpx.Request:
        timeout = {**request.extensions.get("timeout", {}), "connect": self._connect_timeout / among}
        url = self._urls.get((request.url, address))
        if url is None:
            url = self._urls[request.url, address] = request.url.copy_with(host=address)
        return httpx.Request(
            request.method,
            url,
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "timeout": timeout, "sni_hostname": host},
        )

    async def _addresses(self, host: str, port: int) -> list[str]:
        now = asyncio.get_running_loop().time()
        if self._known and now - self._known[0] < REMEMBER:
            return self._known[1]
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError):  # UnicodeError: no such name can exist
            raise SinkError("the target's name has no address") from None
        if not addresses:
            raise SinkError("the target's name has no address")
        if not self._allow_private and not all(is_public(address) for address in addresses):
            raise SinkError("refused: the target has an address that is not public")
        self._known = (now, addresses)
        self._urls.clear()
        return addresses
