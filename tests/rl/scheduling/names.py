"""All schedulers."""

from __future__ import annotations

NAMES = ["block", "cyclic", "dynamic", "predictive", "stealing", "device_aware"]
