"""The recorder of a live run: every camera's own stream and its scenes, in a ring of segments."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import msgspec

from pipeline.alerts import OF_OUR_OWN
from pipeline.cameras.address import Flip
from pipeline.cameras.base import CameraRecorder
from pipeline.errors import ConfigError, SinkError
from pipeline.geometry.calibration_files import Calibration
from pipeline.recording.intake import SceneLine
from pipeline.recording.layout import folder_names, make_private_folder, new_folder, run_name, sync_folder, to_us
from pipeline.recording.lock import FolderLock
from pipeline.recording.manifest import RecordingManifest, write_manifest
from pipeline.recording.ring import Ring
from pipeline.recording.saver import Saver
from pipeline.recording.track import CameraTrack
from pipeline.scene import BgrImage, Scene
from pipeline.sinks.base import Sink
from pipeline.sinks.jsonl import scene_record
from pipeline.sinks.output_file import explain

__all__ = ["DEFAULT_QUOTA_BYTES", "SEGMENT_S", "Recorder", "RecorderStatus"]

DEFAULT_QUOTA_BYTES = 10_000_000_000
SEGMENT_S = 10.0

_QUEUE_BYTES = 64 * 2**20
"""What of each camera may wait for the disk: a minute of 8 Mbit/s; some twenty frames of 1920x1080 to encode."""

_FINISH_LIMIT_S = 15.0
"""Memory cards that are busy with something else may take seconds to answer."""

_ALERT_GAP_S = 2.0
"""After so long without a scene an alert is a new one."""

_SMALLEST_SEGMENT_BYTES = 64 * 2**10


@dataclass(frozen=True, slots=True)
class RecorderStatus:
    """What a recorder can say of itself.

    Attributes:
        folder: Of the present run.
        failure: Why nothing is recorded any more; "" while it is.
        segments: Begun so far.
        pictures: Recorded so far.
        written_bytes: Written so far.
        kept_bytes: What lies in the folder of all runs, saved recordings included.
        dropped: Camera → pictures that the disk was too slow for.
        left_out: Camera → pictures that could not be recorded: before the first key frame, or damaged.
        dropped_scenes: Scenes that the disk was too slow for.
        saving: The folder that is being saved into, or "".
        note: The last thing that went wrong without ending the recording, or "".
    """

    folder: str
    failure: str
    segments: int
    pictures: int
    written_bytes: int
    kept_bytes: int
    dropped: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    dropped_scenes: int = 0
    saving: str = ""
    note: str = ""


class Recorder:
    """Records all cameras of a run. No call but the constructor and `close` waits for pictures to be on the disk.

    Args:
        folder: Where all runs lie; created if need be. This run gets a new folder in it.
        cameras: Their names, as in scenes.
        started_at: Wall clock at the time 0 of the run; aware.
        minutes: How much of each camera is kept; None: all that the quota has room for.
        quota_bytes: What everything in the folder may take, earlier runs and saved recordings included. At least
            1 GB or 5 % of the disk is left free whatever the quota says.
        save_s: How far back `save` reaches; it goes on for a third of that.
        save_on_alert: Whether a scene with an alert of something on the road saves.
        segment_s: After how long a segment is followed by the next, at a key frame.
        queue_bytes: What of each camera may wait for the disk.
        name: What the user called the folder; its path if None.
        calibrations: Camera → how it hangs over the road, of those that are calibrated; replays take it from there.

    Raises:
        ConfigError: A number that cannot be meant.
        SinkError: The folder cannot be created or written, another run records into it, or the disk is full.
    """

    def __init__(
        self,
        folder: Path,
        cameras: Sequence[str],
        *,
        started_at: datetime,
        minutes: float | None = None,
        quota_bytes: int = DEFAULT_QUOTA_BYTES,
        save_s: float = 30.0,
        save_on_alert: bool = True,
        segment_s: float = SEGMENT_S,
        queue_bytes: int = _QUEUE_BYTES,
        name: str | None = None,
        calibrations: Mapping[str, Calibration] | None = None,
    ) -> None:
        if quota_bytes <= 0 or save_s <= 0 or segment_s <= 0 or (minutes is not None and minutes <= 0):
            raise ConfigError("minutes, quota and seconds of a recording must be above 0")
        self._output = name if name is not None else str(folder)
        self._save_on_alert = save_on_alert
        self._save_s = save_s
        self._raised_s: dict[str, tuple[float, dict[str, float]]] = {}
        self._failure = self._note = ""
        self._closed = False
        self._state = threading.Lock()
        make_private_folder(folder, self._output)
        self._lock = FolderLock(folder, self._output)
        with ExitStack() as undo:
            undo.callback(self._lock.release)
            self._ring = Ring(
                folder,
                quota_bytes=quota_bytes,
                kept_us=None if minutes is None else to_us(60 * minutes),
                segment_us=to_us(segment_s),
                output=self._output,
            )
            self._ring.make_room(_SMALLEST_SEGMENT_BYTES // 16)
            names = folder_names(cameras)
            self._manifests = self._begin_run(folder, names, started_at, calibrations or {})
            undo.pop_all()
        self._saver = Saver(
            self._ring,
            folder,
            self._manifests,
            save_us=to_us(save_s),
            quota_bytes=quota_bytes,
            output=self._output,
            on_note=self._notice,
        )
        self._tracks = {
            camera: CameraTrack(
                camera,
                self.folder / plain,
                self._ring,
                self._saver,
                segment_us=to_us(segment_s),
                segment_bytes=max(_SMALLEST_SEGMENT_BYTES, quota_bytes // (16 * len(names))),
                queue_bytes=queue_bytes,
                output=self._output,
                on_flip=partial(self._tell_flip, plain),
                on_note=self._notice,
                on_failure=self._fail,
            )
            for camera, plain in names.items()
        }

    def _begin_run(
        self, folder: Path, names: dict[str, str], started_at: datetime, calibrations: Mapping[str, Calibration]
    ) -> dict[str, RecordingManifest]:
        """Make the folders of this run; folder's name of each camera → its manifest."""
        self.folder = new_folder(folder, run_name(folder, started_at.astimezone(timezone.utc)), self._output)
        self._ring.run = self.folder.name
        manifests = {
            plain: RecordingManifest(camera=camera, started_at=started_at, calibration=calibrations.get(camera))
            for camera, plain in names.items()
        }
        try:
            for plain, manifest in manifests.items():
                (self.folder / plain).mkdir(mode=0o700)
                write_manifest(self.folder / plain, manifest)
        except OSError as error:
            raise explain(f"cannot write {self._output}", error) from error
        sync_folder(self.folder)
        sync_folder(folder)
        return manifests

    def for_camera(self, camera: str) -> CameraRecorder:
        """What that camera's thread gives its pictures to.

        Raises:
            KeyError: It is not one of the run's cameras.
        """
        return self._tracks[camera]

    def sink(self) -> Sink:
        """What the run gives all scenes to. Closing it leaves the recorder open."""
        return _SceneSink(self, self._output)

    def keep(self, scene: Scene) -> None:
        """Write a scene beside the pictures of its camera, and save when it has an alert.

        Raises:
            SinkError: The recorder has failed.
        """
        if self._failure:
            raise SinkError(self._failure)
        camera = scene.camera.name if scene.camera is not None else scene.frame.camera
        track = self._tracks.get(camera)
        if track is None:
            return
        line = msgspec.json.encode(scene_record(scene)) + b"\n"
        track.scene(SceneLine(to_us(scene.frame.source_time_s), line))
        kinds = self._worth_saving(camera, scene)
        if self._save_on_alert and kinds:
            try:
                self.save(kinds[0])
            except SinkError as error:
                self._notice(str(error))

    def _worth_saving(self, camera: str, scene: Scene) -> list[str]:
        """Kinds of alerts of something on the road, from when they are raised and for as long as a save reaches back.

        One that lasts longer, as in a traffic jam, tells nothing new, and would fill the quota.
        """
        now_s = scene.frame.source_time_s
        told_s, before = self._raised_s.get(camera, (now_s, {}))
        if now_s - told_s > _ALERT_GAP_S:
            before = {}
        kinds = [alert.kind for alert in scene.alerts if alert.kind not in OF_OUR_OWN]
        raised = {kind: before.get(kind, now_s) for kind in kinds}
        self._raised_s[camera] = now_s, raised
        return [kind for kind in kinds if now_s - raised[kind] <= self._save_s]

    def save(self, reason: str) -> str:
        """Keep the last seconds of all cameras for good, and the next ones. Returns at once.

        Args:
            reason: A word or two; becomes part of the folder's name.

        Returns:
            The folder that will hold it. A save that still goes on is extended, and its folder returned.

        Raises:
            SinkError: Nothing was recorded yet, the recorder has failed, or half of the quota would be saved.
        """
        if self._failure:
            raise SinkError(self._failure)
        return self._saver.save(reason)

    @property
    def status(self) -> RecorderStatus:
        """What can be said now; from any thread."""
        tracks = self._tracks.values()
        return RecorderStatus(
            folder=str(self.folder),
            failure=self._failure,
            segments=sum(track.segments for track in tracks),
            pictures=sum(track.pictures for track in tracks),
            written_bytes=sum(track.written_bytes for track in tracks),
            kept_bytes=self._ring.total_bytes,
            dropped={camera: track.dropped for camera, track in self._tracks.items()},
            left_out={camera: track.left_out for camera, track in self._tracks.items()},
            dropped_scenes=sum(track.dropped_scenes for track in tracks),
            saving=self._saver.active,
            note=self._note,
        )

    def close(self) -> None:
        """Finish everything, within some 15 s; what a hanging disk does not take by then is left behind.

        May be called more than once. A failure is in `status`, not raised.
        """
        with self._state:
            if self._closed:
                return
            self._closed = True
        until_s = time.monotonic() + _FINISH_LIMIT_S
        for track in self._tracks.values():
            track.finish()
        hung = [track for track in self._tracks.values() if not track.join(max(0.1, until_s - time.monotonic()))]
        if hung:
            self._fail(f"cannot write {self._output}: the disk did not take everything in time")
        if not self._saver.close(max(1.0, until_s - time.monotonic())):
            self._notice(f"cannot save all of {self._saver.active}: the disk did not take everything in time")
        for plain, track in zip(self._manifests, self._tracks.values(), strict=True):
            if track in hung:
                continue
            manifest = msgspec.structs.replace(
                self._manifests[plain],
                ended_at=datetime.now(timezone.utc),
                pictures=track.pictures,
                dropped=track.dropped,
                failure=self._failure,
            )
            with contextlib.suppress(OSError):  # Without it the recording counts as cut off, and it may well be.
                write_manifest(track.folder, manifest)
        self._lock.release()

    def _fail(self, reason: str) -> None:
        with self._state:
            if self._failure:
                return
            self._failure = reason
        for track in self._tracks.values():
            track.give_up()

    def _tell_flip(self, plain: str, flip: Flip) -> None:
        """A camera hangs the other way round: say so in its manifest."""
        if flip != self._manifests[plain].flip:
            self._manifests[plain] = msgspec.structs.replace(self._manifests[plain], flip=flip)
            try:
                write_manifest(self.folder / plain, self._manifests[plain])
            except OSError as error:
                raise explain(f"cannot write {self._output}", error) from error

    def _notice(self, note: str) -> None:
        self._note = note


class _SceneSink:
    """The recorder as one of the run's outputs."""

    needs_overlay = False
    on_main_thread = False

    def __init__(self, recorder: Recorder, name: str) -> None:
        self.name = name
        self._recorder = recorder

    def write(self, scene: Scene, picture: BgrImage | None) -> None:  # noqa: ARG002
        """Keep one scene.

        Raises:
            SinkError: The recorder has failed. What was recorded before is playable.
        """
        self._recorder.keep(scene)

    def close(self) -> None:
        """Nothing to do: the recorder outlives its scenes."""
