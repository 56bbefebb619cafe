"""Stands in for productpage and does one thing wrong.

It answers /health with 200 and everything else with metrics, unless told to do otherwise. Given to
python3 as text, it needs nothing but Python itself, whatever image it runs in.
"""

import argparse
import http.server
import os
import pathlib
import signal
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--address", default="", help="what to listen on")
parser.add_argument("--port", type=int, default=9080)
parser.add_argument("--status", type=int, default=200, help="status of the answer")
parser.add_argument("--type", default="text/plain; version=0.0.4", help="its content type")
parser.add_argument("--delay", type=float, default=0, help="seconds to let a client wait for it")
parser.add_argument("--once", help="a file: if it is not there, make it and end in failure")
options = parser.parse_args()

# The first process of a container is not ended by a signal that it does not handle.
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

if options.once and not pathlib.Path(options.once).exists():
    pathlib.Path(options.once).touch()
    time.sleep(1)
    sys.exit(1)

METRICS = f"""# TYPE process_start_time_seconds gauge
process_start_time_seconds {time.time():.2f}
# TYPE python_gc_objects_collected_total counter
python_gc_objects_collected_total{{generation="0"}} 1
""".encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status, kind, body = options.status, options.type, METRICS
        if self.path == "/health":
            status, kind, body = 200, "text/plain", b"healthy"
        else:
            time.sleep(options.delay)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Silent: the mesh keeps the access log."""


http.server.ThreadingHTTPServer((options.address, options.port), Handler).serve_forever()
