"""Settings of a local store."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class LocalSettings(BaseModel):
    """``[stores.NAME]`` with ``backend = "local"``."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    folder: Path | None = Field(
        default=None,
        description="Folder of the database and its keys (mode 0700). Default: the server's state folder, "
        "so that one folder is all there is to guard and to back up.",
    )
    busy_timeout: float = Field(
        default=5.0,
        ge=0,
        le=60,
        description="Seconds to wait while another process writes. Writes take milliseconds: 5 means that "
        "something is stuck.",
    )
