"""Example of a door: send one frame to the service and print whether to open. Standard library only.

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
    """Send the frame and print one line. Exit code 0: open the door; 3: keep it closed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("frame", type=Path)
    parser.add_argument("--token", type=Path, required=True)
    parser.add_argument("--zone", default="lobby")
    parser.add_argument("--url", default="http://127.0.0.1:8470")
    arguments = parser.parse_args()
    request = urllib.request.Request(
        f"{arguments.url}/v1/zones/{arguments.zone}/identify",
        arguments.frame.read_bytes(),
        {"Authorization": f"Bearer {arguments.token.read_text().strip()}", "Content-Type": "image/png"},
    )
    for face in json.loads(send_with_retries(request))["faces"]:
        if face["decision"] == "match":
            print(f"open: {face['subject_id'][:8]}..., score {face['comparison_score']}")
            return 0
    print("closed: no face in the frame has a consent for this door")
    return 3


def send_with_retries(request: urllib.request.Request) -> bytes:
    """Send a request; retry for up to a minute, because the service may be starting."""
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            sys.exit(f"refused: {error.status} {json.load(error)['detail']}")
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
