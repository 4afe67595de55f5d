"""The command line, one noun in each file."""

import os
from typing import Final

# ONNX Runtime's own builds (1.29 and later) make a device identifier and report to their maker unless this is set
# before they are imported; disable_telemetry_events() comes too late. A door's machine reports to nobody.
_TELEMETRY_OFF: Final = "ORT_DISABLE_TELEMETRY"
os.environ[_TELEMETRY_OFF] = "1"
