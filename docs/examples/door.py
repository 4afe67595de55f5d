"""A door: sends one frame to the service and says whether to open. Nothing but the standard library.

python door.py --token door.token frame.png
"""

import argparse
import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path


def main() -> int:
    """Ask, and print one line. Exit code 0 opens, 3 does not."""
    parser = argparse.ArgumentParser()
    parser.add_argument("frame", type=Path)
    parser.add_argument("--token", type=Path, required=True)
    parser.add_argument("--zone", default="lobby")
    parser.add_argument("--url", default="http://127.0.0.1:8470")
    asked = parser.parse_args()
    request = urllib.request.Request(
        f"{asked.url}/v1/zones/{asked.zone}/identify",
        asked.frame.read_bytes(),
        {"Authorization": f"Bearer {asked.token.read_text().strip()}", "Content-Type": "image/png"},
    )
    for face in json.loads(patiently(request))["faces"]:
        if face["decision"] == "match":
            print(f"open: {face['subject_id'][:8]}..., score {face['comparison_score']}")
            return 0
    print("closed: nobody here agreed to this door")
    return 3


def patiently(request: urllib.request.Request) -> bytes:
    """Send a request, for a minute if the service has just been started."""
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as refusal:
            sys.exit(f"refused: {refusal.status} {json.load(refusal)['detail']}")
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
