"""An origin that writes down each request it parses, one JSON object a line, for gunicorn.

The file is named in SEEN_LOG. `complete` says whether the body came to its end.
"""

import base64
import json
import os

LOG = open(os.environ["SEEN_LOG"], "ab", buffering=0)


def app(environ, start_response):
    line = {
        "method": environ["REQUEST_METHOD"],
        "target": environ["RAW_URI"],
        "id": environ.get("HTTP_X_REQUEST_ID"),
        "client": environ.get("HTTP_X_FORWARDED_FOR"),
        "complete": True,
    }
    announced = environ.get("CONTENT_LENGTH")
    try:
        body = environ["wsgi.input"].read()
    except Exception:  # it broke off, or its framing is broken
        body = b""
        line["complete"] = False
    if announced and announced.isdigit() and int(announced) != len(body):
        line["complete"] = False  # gunicorn ends a short body without a word
    line["body"] = base64.b64encode(body).decode()
    LOG.write(json.dumps(line).encode() + b"\n")
    start_response("200 OK", [("content-type", "text/plain"), ("content-length", "5")])
    return [b"seen\n"]
