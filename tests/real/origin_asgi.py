"""An origin that writes down each request it parses, one JSON object a line, for uvicorn and hypercorn.

The file is named in SEEN_LOG. `complete` says whether the body came to its end.
"""

import base64
import json
import os

LOG = open(os.environ["SEEN_LOG"], "ab", buffering=0)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    fields = dict(scope["headers"])
    target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    line = {
        "method": scope.get("method", "WEBSOCKET"),
        "target": target.decode("latin-1"),
        "id": fields[b"x-request-id"].decode("latin-1") if b"x-request-id" in fields else None,
        "client": fields[b"x-forwarded-for"].decode("latin-1") if b"x-forwarded-for" in fields else None,
        "body": "",
        "complete": False,
    }
    if scope["type"] == "websocket":  # an upgrade that is wanted: a GET
        line["method"] = "GET"
        LOG.write(json.dumps(line).encode() + b"\n")
        await receive()
        await send({"type": "websocket.close", "code": 1000})
        return
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        body += message.get("body", b"")
        if not message.get("more_body"):
            line["complete"] = True
            break
    line["body"] = base64.b64encode(body).decode()
    LOG.write(json.dumps(line).encode() + b"\n")
    if line["complete"]:
        head = {"type": "http.response.start", "status": 200}
        await send({**head, "headers": [(b"content-type", b"text/plain"), (b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"seen\n"})
