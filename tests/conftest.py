"""For all tests."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings
from moto_server import aws_environment, moto  # noqa: F401  # fixtures

# Who starts us in the background may have had these ignored, and so would every process of ours: a shell
# can not even trap what it finds ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# No property here is about time, and a busy machine takes long over anything.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
