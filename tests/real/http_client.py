"""Drives httpbin through BASE and prints what came back, one JSON line a call.

The same script runs against the origin and through the gateway; the two outputs must be equal. What differs by nature
(addresses, dates, forwarding fields) is taken out of httpbin's echo.
"""
import hashlib
import json
import subprocess
import sys

import requests

BASE = sys.argv[1]
VOLATILE = {"Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "Forwarded",
            "X-Request-Id", "Connection", "Keep-Alive",
            "Expect"}  # met by whoever reads the body first: the gateway, when it holds the body until it has judged it


def clean(body):
    if isinstance(body, dict):
        body.pop("origin", None)
        if isinstance(body.get("headers"), dict):
            body["headers"] = {k: v.split("; boundary=")[0] for k, v in body["headers"].items() if k not in VOLATILE}
        if isinstance(body.get("url"), str):
            body["url"] = body["url"].split("/", 3)[-1]
    return body


def read(content):
    """JSON, or JSON lines, without what differs by nature; of anything else its hash."""
    try:
        return clean(json.loads(content))
    except ValueError:
        pass
    try:
        return [clean(json.loads(line)) for line in content.splitlines()]
    except ValueError:
        return hashlib.sha256(content).hexdigest()


def show(name, response):
    body = read(response.content)
    headers = {k.lower(): v for k, v in response.headers.items()
               if k.lower() in {"content-type", "location", "set-cookie", "www-authenticate", "etag", "content-encoding",
                                "content-range", "allow"}}
    print(json.dumps([name, response.status_code, headers, body], sort_keys=True))


session = requests.Session()
for path in ["/get?a=1&a=2&b=%20x+y", "/headers", "/user-agent", "/gzip", "/deflate", "/robots.txt", "/html", "/xml",
             "/json", "/encoding/utf8", "/status/418", "/status/204", "/status/503", "/bytes/102400?seed=7",
             "/stream/20", "/stream-bytes/65536?seed=3&chunk_size=1000", "/links/5/2", "/range/2048", "/cache/60",
             "/etag/abc", "/image/png", "/base64/SGVsbG8%3D", "/response-headers?x-a=b&x-c=d"]:
    show(path, session.get(BASE + path, allow_redirects=False))
show("redirects", session.get(BASE + "/relative-redirect/3"))
show("cookies", session.get(BASE + "/cookies/set?flavour=oat"))
show("cookies kept", session.get(BASE + "/cookies"))
show("basic", session.get(BASE + "/basic-auth/jane/secret", auth=("jane", "secret")))
show("basic refused", session.get(BASE + "/basic-auth/jane/secret", auth=("jane", "wrong")))
show("bearer", session.get(BASE + "/bearer", headers={"Authorization": "Bearer abc"}))
show("range", session.get(BASE + "/range/4096", headers={"Range": "bytes=100-199"}))
for method in ["post", "put", "patch", "delete"]:
    call = getattr(session, method)
    show(method + " json", call(BASE + "/anything/x?y=1", json={"name": "J\u00e4ne", "list": list(range(300))}))
    show(method + " form", call(BASE + "/anything", data={"a": ["1", "2"], "b": "\u00e4 &="}))
    show(method + " empty", call(BASE + "/anything"))
show("file", session.post(BASE + "/post", files={"file": ("a.bin", bytes(range(256)) * 40, "application/octet-stream")}))
show("chunked", session.post(BASE + "/post", data=(b"x" * 1000 for _ in range(70))))
show("large", session.post(BASE + "/post", data=b"z" * 900_000))
show("head", session.head(BASE + "/get"))
show("options", session.options(BASE + "/get"))

for arguments in [["-sS", "/anything/%2e%2e/a%2Fb//c?q=%zz"], ["-sS", "--path-as-is", "/anything/a/../b"],
                  ["-sS", "-0", "/anything/http10"], ["-sS", "--compressed", "/gzip"],
                  ["-sS", "-H", "Expect: 100-continue", "-d", "@" + __file__, "/anything/expect"],
                  ["-sS", "-T", __file__, "/put"]]:
    *options, path = arguments
    done = subprocess.run(["curl", *options, BASE + path], capture_output=True, check=True)
    body = read(done.stdout)
    print(json.dumps(["curl", arguments, body], sort_keys=True))
