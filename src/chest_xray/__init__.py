"""From a folder of chest radiographs to a monitored endpoint. Research use only, not a medical device."""

import os

__version__ = "0.1.0"

# ONNX Runtime's wheels for Linux report to Microsoft since 1.29: names and hashes of models, a device id that they keep
# in the user's cache. Only this variable, set before its import, stops both; `disable_telemetry_events` comes too late.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
