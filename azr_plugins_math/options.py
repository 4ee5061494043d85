"""Settings of the plugin, `[plugins.math]`."""

from __future__ import annotations

from pydantic import Field

import azr_core as azr


class Options(azr.Options):
    """What can be set."""

    secret: str = Field(default="", description="mixed with the run's seed into the key that draws the hidden points of inductions")
