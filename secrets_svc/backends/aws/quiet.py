"""Keeps the client library from logging: at debug level it logs whole requests and answers, with values."""

from __future__ import annotations

import logging

_FAMILIES = ("boto3", "botocore", "s3transfer")


def silence() -> None:
    """Drop every record of every logger of that library that there is by now.

    A filter, since levels are inherited and a configuration of logging that is made later would undo them.
    Call it again after more of the library was imported.
    """
    for name in [*_FAMILIES, *logging.Logger.manager.loggerDict]:
        if name.partition(".")[0] in _FAMILIES:
            logger = logging.getLogger(name)
            if _drop not in logger.filters:
                logger.addFilter(_drop)


def _drop(record: logging.LogRecord) -> bool:
    del record
    return False
