"""A webhook receiver as a process of its own: it takes the time of the first byte of each request.

It prints its port, answers 204 to everything, and prints what it saw as JSON when its input ends.
"""

import asyncio
import json
import sys
import time


async def main() -> None:
    """Serve until standard input ends."""
    seen: list[tuple[str, float]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while first := await reader.read(1):
                at = time.time()
                head = (first + await reader.readuntil(b"\r\n\r\n")).lower()
                fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
                await reader.readexactly(int(fields[b"content-length"]))
                seen.append((fields[b"webhook-id"].decode(), at))
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
