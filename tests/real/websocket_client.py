"""Echoes text, binary and 2 MB messages at URL, answers a ping, and reports how the server closed."""
import asyncio
import hashlib
import json
import os
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


async def main():
    url = sys.argv[1]
    async with connect(url, max_size=8 << 20, compression=None) as socket:
        for message in ["hello", "\u00e4" * 1000, b"", b"\x00\xff" * 500, b"\x5a" * (2 << 20), os.urandom(2_000_001)]:
            await socket.send(message)
            back = await socket.recv()
            print(json.dumps(["echo", len(message), back == message]))
        await asyncio.wait_for(await socket.ping(), 5)
        print(json.dumps(["ping", True]))
    for code, reason in [(1000, "done"), (1001, "going away"), (4123, "own code")]:
        async with connect(url, compression=None) as socket:
            await socket.send(f"close {code} {reason}")
            try:
                await socket.recv()
            except ConnectionClosed as closed:
                print(json.dumps(["close", closed.rcvd.code, closed.rcvd.reason]))

asyncio.run(main())
