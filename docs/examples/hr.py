"""A staff list: tells the service, signed after Standard Webhooks, that somebody has left. Standard library only.

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
    """Send one message; the answer comes when nobody is matched by the consent any more."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--left", required=True, help="what the staff list calls the person")
    parser.add_argument("--secret", type=Path, required=True)
    parser.add_argument("--url", default="http://127.0.0.1:8470/v1/hooks/revocations")
    asked = parser.parse_args()
    message_id, now = f"msg_{secrets.token_hex(8)}", str(int(time.time()))
    said = {
        "type": "employee.terminated",
        "timestamp": datetime.now(UTC).isoformat(),
        "data": {"external_id": asked.left},
    }
    body = json.dumps(said).encode()
    key = base64.b64decode(asked.secret.read_text().strip().removeprefix("whsec_"))
    digest = hmac.digest(key, f"{message_id}.{now}.".encode() + body, "sha256")
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": now,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }
    try:
        with urllib.request.urlopen(urllib.request.Request(asked.url, body, headers), timeout=30) as answer:
            print(f"told the service: {answer.status} {json.load(answer)['status']}")
    except urllib.error.HTTPError as refusal:
        sys.exit(f"refused: {refusal.status} {json.load(refusal)['detail']}")
    except OSError as error:  # nothing was told; the same message can be sent again
        sys.exit(f"no answer from {asked.url}: {error}")


if __name__ == "__main__":
    main()
