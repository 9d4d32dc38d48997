"""What the kit says when it can't go on."""

from __future__ import annotations


class KitError(Exception):
    """Something that the kit needs is missing, or one of its programs failed. The text says what to do."""
