"""Example of a sender: report to the service, with a signed webhook, that a person left. Standard library only.

python hr.py --secret hr.secret --left 4711
"""

import argparse
import base64
import hmac
import json
import secrets
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path


def main() -> None:
    """Send one message (Standard Webhooks, `v1`); the response comes when matching has stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--left", required=True, help="the person's id in the staff list")
    parser.add_argument("--secret", type=Path, required=True)
    parser.add_argument("--url", default="http://127.0.0.1:8470/v1/hooks/revocations")
    arguments = parser.parse_args()
    message_id, now = f"msg_{secrets.token_hex(8)}", str(int(time.time()))
    message = {
        "type": "employee.terminated",
        "timestamp": datetime.now(UTC).isoformat(),
        "data": {"external_id": arguments.left},
    }
    body = json.dumps(message).encode()
    key = base64.b64decode(arguments.secret.read_text().strip().removeprefix("whsec_"))
    digest = hmac.digest(key, f"{message_id}.{now}.".encode() + body, "sha256")
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": now,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }
    try:
        with urllib.request.urlopen(urllib.request.Request(arguments.url, body, headers), timeout=30) as response:
            print(f"reported to the service: {response.status} {json.load(response)['status']}")
    except urllib.error.HTTPError as error:
        sys.exit(f"refused: {error.status} {json.load(error)['detail']}")
    except OSError as error:  # not delivered; the same message can be sent again
        sys.exit(f"no response from {arguments.url}: {error}")


if __name__ == "__main__":
    main()
