"""Server-sent events on 127.0.0.1:PORT: each event waits until the client has acknowledged the one before at /ack,
so that a proxy that holds events back makes the stream stop."""
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

acknowledged = threading.Semaphore(0)


class Events(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/ack":
            acknowledged.release()
            self.send_response(204)
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(10):
            data = f"id: {number}\ndata: tick\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
            if not acknowledged.acquire(timeout=5):
                break
        else:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *arguments):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Events).serve_forever()
