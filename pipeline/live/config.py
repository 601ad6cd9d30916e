"""Settings of a live run."""

from __future__ import annotations

from typing import Annotated

import msgspec

from pipeline.cameras.address import CameraConfig, CameraDecode
from pipeline.config import EngineConfig, Seconds
from pipeline.errors import ConfigError

__all__ = ["LiveConfig"]

Positive = Annotated[float, msgspec.Meta(gt=0)]


class LiveConfig(EngineConfig, frozen=True, forbid_unknown_fields=True):
    """Settings of a live run; the keys of its TOML file.

    Attributes:
        cameras: One table ``[[cameras]]`` each; those of the command line replace them all.
        duration: Seconds after which the run ends; None never.
        decode: What decodes network cameras' streams: the CPU, ``"nvdec"`` (an NVIDIA GPU), ``"nvv4l2"`` (a Jetson).
        max_age_ms: A frame that is older when its turn comes is dropped.
        grab_timeout: Seconds without a picture after which a connection is given up and made anew.
        open_timeout: Seconds that connecting may take.
        give_up_after: Seconds after which a camera that was never reached is given up; None never.
        exit_on_loss: Whether losing a camera or the engine ends the run, with exit code 3.
        web: ``[HOST:]PORT`` of the page; "" for none.
        web_token: What a browser must know; needed for any address but this machine's own.
        record: Folder that the cameras' own frames are recorded into; "" for none.
        record_minutes: How much is kept; None keeps what the quota allows.
        record_quota_gb: How much of the disk recordings may fill.
        record_save_s: How much before an alert, or a press of the button, is saved for good.
        restream: ``rtsp://`` addresses of a server that the overlay is pushed to.
        birdseye: Whether overlays show the road from above too, where it is known in metres.
    """

    cameras: list[CameraConfig] = msgspec.field(default_factory=list)
    duration: Positive | None = None
    decode: CameraDecode = "cpu"
    max_age_ms: Positive = 1000.0
    grab_timeout: Positive = 2.0
    open_timeout: Positive = 5.0
    give_up_after: Seconds | None = None
    exit_on_loss: bool = False
    web: str | None = None
    web_token: str = ""
    record: str = ""
    record_minutes: Positive | None = None
    record_quota_gb: Positive = 10.0
    record_save_s: Positive = 30.0
    restream: list[str] = msgspec.field(default_factory=list)
    birdseye: bool = True

    def check(self, where: str) -> None:
        """See that the values fit together."""
        super().check(where)
        for camera in self.cameras:
            if len(camera.size) == 1:
                raise ConfigError(f"{where}: a camera's size needs both height and width, got {camera.size}")
