"""Puts the picture together."""

from __future__ import annotations

from engines.classes import SegmentationClass
from pipeline.overlay.birdseye import BirdseyePainter
from pipeline.overlay.corridor import draw_corridor
from pipeline.overlay.ground import GroundPainter
from pipeline.overlay.panel import Hud, PanelPainter, draw_alerts
from pipeline.overlay.pen import Layer
from pipeline.overlay.road_users import draw_road_users
from pipeline.overlay.slate import draw_slate
from pipeline.overlay.style import Style
from pipeline.postprocess.pool import ImagePool
from pipeline.scene import BgrImage, Picture, Scene, YuvImage

__all__ = ["OverlayPainter"]


class OverlayPainter:
    """Draws scenes. Keeps buffers for the size and the classes of the last scene; belongs to one thread.

    Args:
        birdseye: Whether scenes that are known in metres get an inset that shows the road from above.
    """

    def __init__(self, *, birdseye: bool = True) -> None:
        self._with_birdseye = birdseye
        self._fits: tuple[tuple[int, int], tuple[SegmentationClass, ...]] | None = None
        self._style: Style
        self._ground: GroundPainter
        self._panel: PanelPainter
        self._birdseye: BirdseyePainter
        self._layer: Layer
        self._pool: ImagePool

    def draw(self, scene: Scene, hud: Hud | None = None) -> BgrImage:
        """Draw one scene.

        From bottom to top: the road and its free-space boundary, the strip that the vehicle will drive over, the road
        users with outline, foot point and label, the road from above, the alerts, the inset with the figures. The strip
        and the road from above are there where the scene is known in metres.

        A live camera's scene without a signal becomes a slate that says so.

        Args:
            scene: What to draw; nothing in it is changed.
            hud: Figures of the run; without them the inset shows the counts and the time alone.

        Returns:
            (H, W, 3) uint8 BGR, a new array each time and read-only: sinks read it in threads of their own.
        """
        if scene.camera is not None and not scene.has_signal:
            height, width = scene.frame.size_hw
            slate = draw_slate(scene.camera, height, width, Style.for_size(height, width))
            slate.flags.writeable = False
            return slate
        self._fit(scene)
        picture = self._ground.draw(scene)
        self._draw_upon(picture, scene, hud)
        picture.flags.writeable = False
        return picture

    def draw_planes(self, scene: Scene, hud: Hud | None = None) -> Picture:
        """The same upon a copy of the frame's own planes: no conversion to BGR before, and none after it for encoders.

        Returns:
            A `YuvImage` that belongs to whoever holds it; a BGR picture where the frame has no planes, or an odd
            width or height, or where there is no signal.
        """
        planes, (height, width) = scene.frame.planes, scene.frame.size_hw
        if planes is None or not scene.has_signal or height % 2 or width % 2:
            return self.draw(scene, hud)
        self._fit(scene)
        picture = YuvImage(self._pool.take(), planes.matrix, planes.full_range)
        self._ground.draw_planes(scene, picture)
        self._draw_upon(picture, scene, hud)
        return picture

    def _draw_upon(self, picture: Picture, scene: Scene, hud: Hud | None) -> None:
        self._ground.draw_boundary(picture, scene.drivable, self._layer)
        taken = [] if scene.road is None else draw_corridor(picture, scene.road, self._style, self._layer)
        inset = self._birdseye.place(picture, scene) if self._with_birdseye else None
        if inset is not None:
            taken.append(inset)
        draw_road_users(picture, scene.road_users, self._style, taken)
        if self._with_birdseye:
            self._birdseye.draw(picture, scene)
        draw_alerts(picture, scene, self._style)
        self._panel.draw(picture, scene, hud)

    def _fit(self, scene: Scene) -> None:
        """Make the parts anew when the first scene comes, or one of another size or of other classes."""
        classes, size_hw = scene.segmentation.classes, scene.segmentation.class_ids.shape
        if self._fits is not None and self._fits[0] == size_hw and self._fits[1] is classes:
            return
        height, width = size_hw
        self._style = Style.for_size(height, width)
        self._ground = GroundPainter(classes, height, width, self._style.line_px)
        self._panel = PanelPainter(self._style)
        self._birdseye = BirdseyePainter(self._style, height)
        self._layer = Layer(height, width)
        self._pool = ImagePool((height * 3 // 2, width))
        self._fits = ((height, width), classes)
