"""A correct echo server in another language, to see that the tests accept what is right.

Usage: python3 asyncio_echo.py PORT
"""

from __future__ import annotations

import asyncio
import sys


async def serve_guest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()  # stops reading while the guest does not read
    except ConnectionError:
        pass  # this guest is gone; the others are not
    finally:
        writer.close()


async def main(port: int) -> None:
    server = await asyncio.start_server(serve_guest, "127.0.0.1", port)
    await server.serve_forever()


asyncio.run(main(int(sys.argv[1])))
