"""A WebSocket echo server on 127.0.0.1:PORT; the text `close CODE REASON` makes it close with that code."""
import asyncio
import sys

from websockets.asyncio.server import serve


async def echo(connection):
    async for message in connection:
        if isinstance(message, str) and message.startswith("close "):
            _, code, reason = message.split(" ", 2)
            await connection.close(int(code), reason)
            return
        await connection.send(message)


async def main():
    async with serve(echo, "127.0.0.1", int(sys.argv[1]), max_size=8 << 20, compression=None):
        await asyncio.get_running_loop().create_future()

asyncio.run(main())
