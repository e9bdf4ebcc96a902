"""Where a webhook connects to: only to addresses that were looked at."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import httpx

from accountd.errors import SinkError

P = TypeVar("P", bound=asyncio.Protocol)
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


class Target:
    """Resolves the host, refuses it when any of its addresses is not public, connects to what it checked.

    Looking up and connecting by name in two steps would let the name change in between. The name in the
    TLS handshake stays that of the URL.
    """

    def __init__(
        self,
        url: httpx.URL,
        *,
        allow_private: bool,
        connect_timeout: float,
        resolve: Resolve = resolve,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        self.host = url.host
        self.port = url.port or (443 if url.scheme == "https" else 80)
        self._ssl = (verify or httpx.create_ssl_context()) if url.scheme == "https" else None
        self._allow_private = allow_private
        self._connect_timeout = connect_timeout
        self._resolve = resolve
        self._known: tuple[float, list[str]] | None = None

    async def connect(self, protocol: Callable[[], P]) -> P:
        """Connect to the first checked address that takes the connection.

        Raises:
            SinkError: the host has no address, or one that is not allowed.
            OSError: no address takes the connection.
        """
        if self._ssl is None and not self._allow_private:
            raise SinkError("refused: the target is not https")
        addresses = await self._addresses()
        refusal: OSError | None = None
        for address in addresses:
            try:
                async with asyncio.timeout(self._connect_timeout / len(addresses)):
                    _, connection = await asyncio.get_running_loop().create_connection(
                        protocol, address, self.port, ssl=self._ssl,
                        server_hostname=self.host if self._ssl else None,
                    )  # fmt: skip
                return connection
            except OSError as error:  # a time-out is one, and so is a certificate of another name
                refusal = error
        self._known = None
        assert refusal is not None  # there is at least one address
        raise refusal

    async def _addresses(self) -> list[str]:
        now = asyncio.get_running_loop().time()
        if self._known and now - self._known[0] < REMEMBER:
            return self._known[1]
        try:
            addresses = await self._resolve(self.host, self.port)
        except (OSError, UnicodeError):  # UnicodeError: no such name can exist
            raise SinkError("the target's name has no address") from None
        if not addresses:
            raise SinkError("the target's name has no address")
        if not self._allow_private and not all(is_public(address) for address in addresses):
            raise SinkError("refused: the target has an address that is not public")
        self._known = (now, addresses)
        return addresses
