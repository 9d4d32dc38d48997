"""For all tests."""

from __future__ import annotations

import signal

# Who starts us in the background may have had interrupts ignored, and so would every process of ours.
signal.signal(signal.SIGINT, signal.default_int_handler)
