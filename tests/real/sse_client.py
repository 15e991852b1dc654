"""Reads events at BASE, acknowledging each at the server's own address DIRECT; prints how many came one by one."""
import sys

import requests

base, direct = sys.argv[1:]
count = 0
with requests.get(base + "/events", stream=True, timeout=8) as response:
    for line in response.iter_lines(chunk_size=1):
        if line.startswith(b"id:"):
            count += 1
            requests.get(direct + "/ack", timeout=5)
print(count)
