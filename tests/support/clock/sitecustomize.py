"""A Python process whose clock is off by ``CLOCK_OFF`` seconds: put this folder into its ``PYTHONPATH``.

The clocks of others, and of the C library, stay as they are.
"""

from __future__ import annotations

import ctypes
import datetime
import gc
import os
import time
from typing import Any

OFF = float(os.environ.get("CLOCK_OFF", "0"))
_time, _time_ns, _gmtime, _localtime = time.time, time.time_ns, time.gmtime, time.localtime
_now = datetime.datetime.now


def _off(cls: type, tz: datetime.tzinfo | None = None) -> Any:
    del cls
    return _now(tz) + datetime.timedelta(seconds=OFF)


if OFF:
    time.time = lambda: _time() + OFF
    time.time_ns = lambda: _time_ns() + int(OFF * 1e9)
    time.gmtime = lambda seconds=None: _gmtime(_time() + OFF if seconds is None else seconds)
    time.localtime = lambda seconds=None: _localtime(_time() + OFF if seconds is None else seconds)
    # Libraries in other languages want the very type, which takes no attributes: so into what is behind it.
    [behind] = gc.get_referents(datetime.datetime.__dict__)
    behind["now"] = classmethod(_off)
    behind["utcnow"] = classmethod(lambda cls: _off(cls, datetime.UTC).replace(tzinfo=None))
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime.datetime))
