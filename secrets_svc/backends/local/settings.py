"""Settings of a local store."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class LocalSettings(BaseModel):
    """``[stores.NAME]`` with ``backend = "local"``."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    busy_timeout: float = Field(
        default=5.0,
        ge=0,
        le=60,
        description="Seconds to wait while another process writes. Writes take milliseconds: 5 means that "
        "something is stuck.",
    )
