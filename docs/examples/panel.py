"""Example of a recipient: receive webhooks about consents and erasures, and print them. Standard library only.

python panel.py --secret panel.secret --count 2
"""

import argparse
import base64
import hmac
import json
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

REPLAY_WINDOW_S = 300
MAX_BYTES = 64 * 1024


class Panel(BaseHTTPRequestHandler):
    """HTTP handler that accepts messages signed with the secret, at most `REPLAY_WINDOW_S` old."""

    key = b""

    def do_POST(self) -> None:
        """Verify one message, print it, and acknowledge it with 204."""
        body = self.rfile.read(min(int(self.headers.get("Content-Length", "0")), MAX_BYTES))
        if not self.is_valid(body):
            self.send_response(401)
        else:
            message = json.loads(body)
            print(message["type"], json.dumps(message["data"], sort_keys=True), flush=True)
            self.send_response(204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def is_valid(self, body: bytes) -> bool:
        """Return whether the signature is valid and the timestamp is recent."""
        message_id, at = self.headers.get("webhook-id", ""), self.headers.get("webhook-timestamp", "")
        if not at.isdigit() or abs(time.time() - int(at)) > REPLAY_WINDOW_S:
            return False
        expected = base64.b64encode(hmac.digest(self.key, f"{message_id}.{at}.".encode() + body, "sha256")).decode()
        sent = self.headers.get("webhook-signature", "").split(" ")
        return any(hmac.compare_digest(f"v1,{expected}".encode(), one.encode()) for one in sent)

    def log_message(self, *_: object) -> None:
        """Suppress the access log."""


def main() -> None:
    """Listen on this machine until `--count` messages have arrived."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--secret", type=Path, required=True)
    parser.add_argument("--port", type=int, default=8475)
    parser.add_argument("--count", type=int, required=True)
    arguments = parser.parse_args()
    Panel.key = base64.b64decode(arguments.secret.read_text().strip().removeprefix("whsec_"))
    with HTTPServer(("127.0.0.1", arguments.port), Panel) as server:
        for _ in range(arguments.count):
            server.handle_request()


if __name__ == "__main__":
    main()
