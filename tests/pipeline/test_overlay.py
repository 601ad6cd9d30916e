"""The overlay: what is drawn where, on pictures of any size."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipeline.live.blank import blank_scene
from pipeline.metric import ClearDistance
from pipeline.overlay import Hud, OverlayPainter, panel
from pipeline.overlay.ground import GroundPainter, words
from pipeline.overlay.kernels import BLOCK, smooth_boundary, soften, trace
from pipeline.overlay.levels import Plain, TwoTone, draw_levels, in_eights, ramp_of, two_tone_levels
from pipeline.overlay.panel import count_road_users
from pipeline.overlay.pen import Layer, Pen, draw_lines, lay_picture
from pipeline.overlay.road_users import draw_road_users, rounded_rectangle
from pipeline.overlay.style import Style, ink_on, instance_color
from pipeline.overlay.tint import tint_scene
from pipeline.overlay.yuv_color import yuv_color
from pipeline.overlay.yuv_tint import lay_road, tint_classes
from pipeline.scene import Alert, CameraView, Frame, Scene, YuvImage, YuvPlanes
from pipeline.yuv import fill_planes, yuv_weights
from tests.pipeline.scenes import BUILDING, ROAD, SKY, in_metres, make_scene, street

HUD = Hud(fps=58.3, latency_ms=14.2, engine="OpenVINO 2026.4, CPU, BF16, 2 threads")


def grey(scene_size_hw: tuple[int, int]) -> np.ndarray:
    return np.full((*scene_size_hw, 3), 110, np.uint8)


class TestPicture:
    """What a person sees."""

    def test_a_fresh_read_only_picture_each_time_and_the_frame_untouched(self) -> None:
        scene = make_scene(size_hw=(240, 320))
        painter = OverlayPainter()
        first, second = painter.draw(scene, HUD), painter.draw(scene, HUD)
        assert first is not second
        assert not np.shares_memory(first, second)
        assert not first.flags.writeable
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(scene.frame.image, grey((240, 320)))

    def test_what_is_known_in_metres_is_drawn_and_without_it_nothing_of_the_kind(self) -> None:
        """The inset in the upper right, the strip ahead, distances in labels; each of them only where it is known."""
        plain = make_scene(size_hw=(480, 640))
        known = in_metres(plain)
        without, with_inset = OverlayPainter().draw(plain), OverlayPainter().draw(known)
        no_inset = OverlayPainter(birdseye=False).draw(known)
        corner = np.s_[10:150, 560:630]
        np.testing.assert_array_equal(without[corner], 110)
        np.testing.assert_array_equal(no_inset[corner], 110)
        assert len(np.unique(with_inset[corner].reshape(-1, 3), axis=0)) > 20
        assert (no_inset[300:470] != without[300:470]).any(), "the strip"

    def test_nothing_is_drawn_as_clear_where_the_road_cannot_be_seen(self) -> None:
        unseen = ClearDistance(0.0, 0.0, is_open=False, place_px=None)
        plain = make_scene(size_hw=(480, 640))
        known = replace(plain, road=in_metres(plain, clear=unseen).road)
        picture = OverlayPainter(birdseye=False).draw(known)
        np.testing.assert_array_equal(picture[200:470], OverlayPainter().draw(plain)[200:470])

    def test_the_road_is_green_and_what_is_not_marked_stays_as_it_was(self) -> None:
        picture = OverlayPainter().draw(make_scene(size_hw=(480, 640)), None).astype(int)
        blue, green, red = picture[470, 320]
        assert green > 120 > red
        assert green > blue
        np.testing.assert_array_equal(picture[200, 600], [110, 110, 110])  # a building

    def test_the_boundary_of_the_clear_road_is_bright(self) -> None:
        scene = make_scene(ids=np.where(np.arange(480)[:, None] < 240, BUILDING, ROAD).repeat(640, 1).astype(np.uint8))
        column = OverlayPainter().draw(scene, None)[:, 400].sum(axis=1).astype(int)
        assert abs(int(column.argmax()) - 240) <= 1
        assert column.max() > 600

    def test_road_users_are_filled_outlined_and_stand_on_a_mark(self) -> None:
        scene = make_scene(size_hw=(480, 640))
        person = next(user for user in scene.road_users if user.class_name == "person")
        picture = OverlayPainter().draw(scene, None).astype(int)
        x1, y1, x2, y2 = person.box_xyxy
        color = np.array(instance_color("person", person.id))
        assert np.abs(picture[(y1 + y2) // 2, x1] - color).max() < 40
        inside = picture[(y1 + y2) // 2, (x1 + x2) // 2]
        assert 0 < np.abs(inside - 110).max() < np.abs(color - 110).max()
        assert np.abs(picture[y2, (x1 + x2) // 2] - color).max() < 10

    def test_alerts_appear_at_the_bottom(self) -> None:
        scene = make_scene(size_hw=(480, 640))
        calm = OverlayPainter().draw(scene, None)
        warned = OverlayPainter().draw(replace(scene, alerts=(Alert("near", "a car 4 m ahead"),)), None)
        rows = np.flatnonzero((calm != warned).any(axis=(1, 2)))
        assert rows.min() > 400

    def test_figures_change_the_panel_and_nothing_else(self) -> None:
        scene = make_scene(size_hw=(480, 640))
        painter = OverlayPainter()
        first, second = painter.draw(scene, HUD), painter.draw(scene, replace(HUD, fps=31, dropped=2))
        rows, columns = np.nonzero((first != second).any(axis=2))
        assert 0 < rows.max() < 120
        assert columns.max() < 320

    def test_painters_follow_the_size_of_the_scenes(self) -> None:
        painter = OverlayPainter()
        for size_hw in ((240, 320), (120, 160), (240, 320)):
            assert painter.draw(make_scene(size_hw=size_hw), HUD).shape == (*size_hw, 3)

    @pytest.mark.parametrize("size_hw", [(1, 1), (2, 3), (17, 33), (120, 160), (90, 1000), (1000, 90), (241, 321)])
    @pytest.mark.parametrize("only", [None, ROAD, SKY])
    def test_any_size_with_everything_or_nothing_in_it(self, size_hw: tuple[int, int], only: int | None) -> None:
        ids = street(size_hw) if only is None else np.full(size_hw, only, np.uint8)
        scene = make_scene(ids=ids, alerts=(Alert("a", "b" * 300),))
        hud = replace(HUD, engine="x" * 300, fps=12345.6)
        assert OverlayPainter().draw(scene, hud).shape == (*size_hw, 3)

    def test_a_crowd_keeps_its_labels_apart(self) -> None:
        scene = make_scene(size_hw=(480, 640))
        person = scene.road_users[1]
        crowd = tuple(
            replace(person, id=number, box_xyxy=(x, 200, x + 64, 200 + 144))
            for number, x in enumerate(range(0, 560, 20), start=1)
        )
        picture = np.full((480, 640, 3), 110, np.uint8)
        taken = draw_road_users(picture, crowd, Style.for_size(480, 640))
        assert len(taken) > 5
        for (x1, y1, x2, y2), (x3, y3, x4, y4) in combinations(taken, 2):
            assert x2 <= x3 or x4 <= x1 or y2 <= y3 or y4 <= y1

    def test_no_label_lies_under_the_road_from_above(self) -> None:
        known = in_metres(make_scene(size_hw=(480, 640)))
        inset = np.s_[8:214, 535:632]
        x1, y1, x2, y2 = 560, 222, 600, 340  # A label above it would lie where the inset is.
        below = replace(
            known.road_users[1], id=9, box_xyxy=(x1, y1, x2, y2), mask=np.ones((y2 - y1, x2 - x1), np.uint8),
            whereabouts=None,
        )  # fmt: skip
        without = OverlayPainter().draw(known)
        picture = OverlayPainter().draw(replace(known, road_users=(*known.road_users, below)))
        np.testing.assert_array_equal(picture[inset], without[inset])
        assert (picture[y1:y2, x1:x2] != without[y1:y2, x1:x2]).any(axis=2).mean() > 0.9

    def test_road_users_are_counted_in_words_of_their_class(self) -> None:
        scene = make_scene(size_hw=(480, 640))
        assert count_road_users(scene) == [("person", 1), ("car", 1)]


class TestStyle:
    @pytest.mark.parametrize(("height", "width", "text_px"), [(240, 320, 9), (720, 1280, 16), (2160, 3840, 49)])
    def test_sizes_follow_the_picture(self, height: int, width: int, text_px: int) -> None:
        assert Style.for_size(height, width).text_px == text_px

    def test_colours_of_one_class_differ_by_id_but_not_from_frame_to_frame(self) -> None:
        colors = {instance_color("car", number) for number in range(1, 20)}
        assert len(colors) == 19
        assert instance_color("car", 3) == instance_color("car", 3)

    def test_letters_stand_out_from_their_label(self) -> None:
        assert sum(ink_on((255, 255, 255))) < 100
        assert ink_on((120, 0, 0)) == (255, 255, 255)


def blended(below: np.ndarray, color: np.ndarray, share: np.ndarray) -> np.ndarray:
    """What stays of the picture and what comes of the colour, in parts of 256."""
    return ((below * (256 - share) + color * share) >> 8).astype(np.uint8)


def laid(below: np.ndarray, ramp: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """One channel with levels laid over it: what stays and what comes, by level, rounded."""
    entry = ramp[levels].astype(int)
    return ((below * (entry >> 16) + (entry & 0xFFFF) + 128) >> 8).astype(np.uint8)


def means_of_fours(values: np.ndarray) -> np.ndarray:
    height, width = values.shape
    return (values.astype(int).reshape(height // 2, 2, width // 2, 2).sum(axis=(1, 3)) + 2) >> 2


@pytest.mark.parametrize("size_hw", [(120, 160), (91, 133)])
def test_a_frame_that_nobody_looked_at_is_shown_as_it_is(size_hw: tuple[int, int]) -> None:
    image = np.random.default_rng(4).integers(0, 256, (*size_hw, 3), np.uint8)
    frame = Frame(0, 0.0, 0.0, size_hw, image.copy)
    scene = blank_scene(frame, CameraView("front", "live", 3.0), Alert("engine_failed", "the engine failed"))
    ground = GroundPainter(scene.segmentation.classes, *size_hw, 1)
    np.testing.assert_array_equal(ground.draw(scene), image)
    assert OverlayPainter().draw(scene).shape == image.shape


class TestKernels:
    """Each against a plain NumPy reference."""

    @settings(max_examples=50, deadline=None)
    @given(data=st.data(), height=st.integers(1, 5), width=st.sampled_from([1, 7, 8, 9, 16, 24, 37, 64]))
    def test_tint_scene(self, data: st.DataObject, height: int, width: int) -> None:
        def draw(shape: tuple[int, ...], high: int, dtype: type = np.uint8) -> np.ndarray:
            return data.draw(arrays.arrays(dtype, shape, elements=st.integers(0, high)))

        image, ids, soft = draw((height, width, 3), 255), draw((height, width), 6), draw((height, width), 255)
        stretches = np.arange(width) // data.draw(st.sampled_from([1, 4, 8, 16]))  # what is found eight at a time
        ids = np.ascontiguousarray(ids[:, stretches])
        soft = np.where(soft < 90, 0, np.where(soft > 130, 255, soft))[:, stretches].astype(np.uint8, "C")
        share, tint_color = draw((7,), 256, np.uint16), draw((7, 3), 255, np.uint16)
        road_color, opacity = draw((height, 3), 255, np.uint16), draw((height,), 256, np.uint16)
        out = np.empty_like(image)
        tint = (tint_color.astype(int) * share[:, None]).astype(np.uint16)
        tint_scene(
            image.reshape(height, -1), ids, soft, words(ids), words(soft), (256 - share).astype(np.uint16),
            np.tile(tint, (1, width)), road_color, opacity, out.reshape(height, -1),
        )  # fmt: skip

        classes = blended(image.astype(int), tint_color[ids].astype(int), share[ids].astype(int)[..., None])
        road_share = (opacity.astype(int)[:, None] * (soft + (soft.astype(int) >> 7))) >> 8
        road = blended(image.astype(int), road_color.astype(int)[:, None], road_share[..., None])
        np.testing.assert_array_equal(out, np.where(soft[..., None] > 0, road, classes))

    @settings(max_examples=50, deadline=None)
    @given(
        levels=arrays.arrays(np.uint8, st.tuples(st.integers(1, 8), st.integers(1, 8))),
        left=st.integers(-10, 10),
        top=st.integers(-10, 10),
        look=st.sampled_from([Plain((10, 120, 250), 0.7), TwoTone((255, 255, 255), (0, 40, 90)), Pen((9, 9, 9), 3.0)]),
    )
    def test_lay_levels_cuts_off_what_lies_outside(
        self, levels: np.ndarray, left: int, top: int, look: Plain | TwoTone | Pen
    ) -> None:
        picture = np.random.default_rng(1).integers(0, 256, (6, 7, 3), np.uint8)
        wide = np.zeros((40, 40), np.uint8)
        wide[top + 15 : top + 15 + levels.shape[0], left + 15 : left + 15 + levels.shape[1]] = levels
        ramp, inside = ramp_of(look, picture), wide[15:21, 15:22]
        expected = np.stack([laid(picture[..., channel], ramp[channel], inside) for channel in range(3)], axis=-1)
        draw_levels(picture, levels, left, top, look)
        np.testing.assert_array_equal(picture, expected)

    @settings(max_examples=50, deadline=None)
    @given(
        rows=arrays.arrays(np.int32, st.integers(1, 60), elements=st.integers(-1, 400)),
        step=st.integers(1, 6),
        half=st.integers(0, 8),
    )
    def test_smooth_boundary(self, rows: np.ndarray, step: int, half: int) -> None:
        medians = []
        for x in range(0, rows.size, step):
            window = rows[max(0, x - half) : x + half + 1]
            known = window[window >= 0]
            medians.append(float(np.median(known)) if 2 * known.size > window.size else -1.0)
        expected = list(medians)
        for point in range(1, len(medians) - 1):
            before, here, after = medians[point - 1 : point + 2]
            if min(before, here, after) >= 0:
                expected[point] = (before + 2 * here + after) / 4
        np.testing.assert_allclose(smooth_boundary(rows, step, half), expected, rtol=1e-6)

    @settings(max_examples=50, deadline=None)
    @given(
        mask=arrays.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20)), elements=st.integers(0, 1)),
        half=st.integers(1, 10),
        more=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    )
    def test_soften(self, mask: np.ndarray, half: int, more: tuple[int, int]) -> None:
        left, top = half + more[0], half + more[1]
        levels = soften(mask, half, left, top)
        assert levels.shape[0] % 2 == 0
        assert levels.shape[1] % 8 == 0
        room = np.zeros(np.add(levels.shape, 2 * half), int)
        room[half + top :, half + left :][: mask.shape[0], : mask.shape[1]] = mask
        side = 2 * half + 1
        sums = np.lib.stride_tricks.sliding_window_view(room, (side, side)).sum(axis=(2, 3))
        factor = (255 * 65536 + side * side // 2) // (side * side)
        np.testing.assert_array_equal(levels, (sums * factor + 32768) >> 16)
        np.testing.assert_allclose(levels, sums * 255 / side**2, atol=0.6)

    @settings(max_examples=50, deadline=None)
    @given(
        points=arrays.arrays(np.float32, st.tuples(st.integers(2, 5), st.just(2)), elements=st.integers(-1, 24)),
        reach=st.sampled_from([1.5, 3.0, 6.5]),
    )
    def test_trace(self, points: np.ndarray, reach: float) -> None:
        layer = Layer(20, 40)
        trace(points, reach, layer.closeness, layer.marked)
        nearest = np.full(layer.closeness.shape, np.inf)
        y, x = np.mgrid[:20, : nearest.shape[1]] + 0.5
        for (x1, y1), (x2, y2) in pairwise(points):
            if y1 >= 0 and y2 >= 0:
                along = np.array([x2 - x1, y2 - y1])
                share = ((x - x1) * along[0] + (y - y1) * along[1]) / max(1e-9, float(along @ along))
                share = np.clip(share, 0, 1)
                nearest = np.minimum(nearest, np.hypot(x - x1 - share * along[0], y - y1 - share * along[1]))
        expected = np.clip(255 * (1 - nearest / reach), 0, 255)
        # What strays from a straight line by a quarter of a pixel is one.
        np.testing.assert_allclose(layer.closeness, np.floor(expected), atol=1 + 0.25 * 255 / reach)
        for block, (first, end) in enumerate(layer.marked):
            rows = np.flatnonzero(layer.closeness[:, block * BLOCK : block * BLOCK + BLOCK].any(axis=1))
            assert not len(rows) or (first <= rows[0] and rows[-1] < end)

    def test_a_line_that_is_nearly_straight_is_traced_as_one(self) -> None:
        layer, straight = Layer(20, 64), Layer(20, 64)
        x = np.linspace(4, 60, 20)
        trace(np.stack([x, 10 + 0.2 * np.sin(x)], axis=1).astype(np.float32), 6.0, layer.closeness, layer.marked)
        trace(np.array([[4, 10], [60, 10]], np.float32), 6.0, straight.closeness, straight.marked)
        np.testing.assert_allclose(layer.closeness, straight.closeness, atol=1 + 0.25 * 255 / 6)

    def test_rounded_rectangle_is_full_inside_and_empty_in_its_corners(self) -> None:
        mask = rounded_rectangle(20, 60, 6)
        assert mask.shape == (20, 60)
        assert mask[10, 30] == mask[0, 30] == mask[10, 0] == 255
        assert max(mask[0, 0], mask[0, -1], mask[-1, 0], mask[-1, -1]) < 40


@pytest.mark.parametrize("available_px", [60, 120, 200, 400])
def test_a_line_too_long_is_cut_to_what_fits_and_says_so(available_px: int):
    said = "OpenVINO 2026.4.1, CPU (Intel Xeon Processor), bf16, 2 threads"
    (span,) = panel._shortened([panel._Span(said, 12, (255, 255, 255))], available_px)
    assert panel._line_width([span]) <= available_px
    assert span.text == said or span.text.endswith("...")
    longer = said[: len(span.text)]
    assert span.text == said or panel._line_width([panel._Span(longer + "...", 12, (0, 0, 0))]) > available_px


LEVELS = st.one_of(st.just(0), st.just(255), st.integers(0, 255))
"""Nothing and well inside are gone over faster."""


class TestLevels:
    def test_a_shape_has_its_two_colours_one_upon_the_other(self) -> None:
        lower, upper = np.array([[0, 128, 255, 255, 255]], np.uint8), np.array([[0, 0, 0, 128, 255]], np.uint8)
        picture = np.zeros((1, 5, 3), np.uint8)
        draw_levels(picture, two_tone_levels(lower, upper), 0, 0, TwoTone((200, 200, 200), (0, 100, 0)))
        np.testing.assert_allclose(picture[0, :, 1], [0, 100, 200, 150, 100], atol=2)
        np.testing.assert_allclose(picture[0, :, 0], [0, 100, 200, 100, 0], atol=2)

    @pytest.mark.parametrize("look", [Plain((255, 255, 255)), TwoTone((255, 255, 255), (255, 255, 255)),
                                      Pen((255, 255, 255), 3.0, 0.9, (255, 255, 255), 4.0, 0.7)])  # fmt: skip
    def test_no_ramp_leads_beyond_white_or_begins_at_level_0(self, look: Plain | TwoTone | Pen) -> None:
        entries = ramp_of(look, np.zeros((1, 1, 3), np.uint8)).astype(int)
        assert (255 * (entries >> 16) + (entries & 0xFFFF) + 128 < 256 * 256).all()
        assert (entries[:, 0] == 256 << 16).all()

    @pytest.mark.parametrize(("left", "top"), [(0, 0), (1, 0), (0, 1), (1, 1)])
    def test_room_in_eights_changes_nothing(self, left: int, top: int) -> None:
        shape = np.random.default_rng(5).integers(0, 256, (7, 13), np.uint8)
        pictures = [np.zeros((20, 40, 3), np.uint8) for _ in range(2)]
        draw_levels(pictures[0], shape, 9, 5, Plain((1, 2, 255)))
        draw_levels(pictures[1], in_eights(shape, left, top), 9 - left, 5 - top, Plain((1, 2, 255)))
        np.testing.assert_array_equal(*pictures)


def planar(scene: Scene, matrix: str, full_range: bool = False) -> Scene:
    """The same scene, its frame as a decoder gives it."""
    image = scene.frame.image
    height, width = scene.frame.size_hw
    pixels = np.empty((height * 3 // 2, width), np.uint8)
    picture = YuvImage(pixels, matrix, full_range)
    planes = picture.planes
    fill_planes(image.reshape(height, -1), yuv_weights(matrix, full_range), planes.y, planes.u, planes.v)
    return replace(scene, frame=replace(scene.frame, planes=planes))


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2))


class TestPlanes:
    """The same picture, drawn upon a video's own planes."""

    @pytest.mark.parametrize(("matrix", "full_range"), [("bt601", False), ("bt709", False), ("bt709", True)])
    @pytest.mark.parametrize("size_hw", [(480, 640), (242, 318), (1440, 2560)])
    def test_it_is_what_the_bgr_picture_becomes(self, matrix: str, full_range: bool, size_hw: tuple[int, int]) -> None:
        scene = planar(make_scene(size_hw=size_hw, alerts=(Alert("near", "a car 4 m ahead"),)), matrix, full_range)
        drawn = OverlayPainter().draw_planes(scene, HUD)
        assert isinstance(drawn, YuvImage)
        expected = planar(replace(scene, frame=replace(scene.frame, to_bgr=lambda: OverlayPainter().draw(scene, HUD))),
                          matrix, full_range).frame.planes  # fmt: skip
        for ours, theirs in zip((drawn.planes.y, drawn.planes.u, drawn.planes.v),
                                (expected.y, expected.u, expected.v), strict=True):  # fmt: skip
            assert psnr(ours, theirs) > 38
            assert np.abs(ours.astype(int) - theirs).mean() < 0.6

    def test_rows_that_the_decoder_padded_make_no_difference(self) -> None:
        scene = planar(make_scene(size_hw=(240, 320)), "bt709")
        planes = scene.frame.planes
        padded = (np.pad(plane, ((0, 0), (0, 32)))[:, :-32] for plane in (planes.y, planes.u, planes.v))
        other = replace(scene, frame=replace(scene.frame, planes=YuvPlanes(*padded, "bt709", full_range=False)))
        pictures = [OverlayPainter().draw_planes(one, HUD).pixels for one in (scene, other)]
        np.testing.assert_array_equal(*pictures)

    def test_a_picture_belongs_to_whoever_holds_it_and_the_frame_is_untouched(self) -> None:
        scene = planar(make_scene(size_hw=(240, 320)), "bt709")
        before = scene.frame.planes.y.copy()
        painter = OverlayPainter()
        first = painter.draw_planes(scene, HUD)
        kept = first.pixels.copy()
        second = painter.draw_planes(scene, replace(HUD, fps=1.0))
        assert not np.shares_memory(first.pixels, second.pixels)
        np.testing.assert_array_equal(first.pixels, kept)
        np.testing.assert_array_equal(scene.frame.planes.y, before)

    def test_memory_comes_back_once_nobody_holds_it(self) -> None:
        scene, painter = planar(make_scene(size_hw=(240, 320)), "bt709"), OverlayPainter()
        places = {painter.draw_planes(scene, HUD).pixels.ctypes.data for _ in range(5)}
        assert len(places) == 1

    def test_without_planes_or_of_an_odd_size_it_is_bgr(self) -> None:
        assert isinstance(OverlayPainter().draw_planes(make_scene(), HUD), np.ndarray)
        assert isinstance(OverlayPainter().draw_planes(make_scene(size_hw=(241, 320)), HUD), np.ndarray)

    @given(
        levels=arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 30)), elements=LEVELS),
        left=st.integers(-31, 60),
        top=st.integers(-9, 20),
        look=st.sampled_from(
            [Plain((10, 200, 30), 0.6), TwoTone((0, 0, 0), (255, 90, 0), 0.8), Pen((5, 99, 200), 4.0)]
        ),
    )
    @settings(deadline=None)
    def test_lay_levels(self, levels: np.ndarray, left: int, top: int, look: Plain | TwoTone | Pen) -> None:
        """Wherever a shape lies; colour differences by the mean level of four pixels."""
        picture = YuvImage(np.random.default_rng(1).integers(0, 256, (24, 60), np.uint8), "bt709", False)
        y, u, v = (plane.copy() for plane in (picture.planes.y, picture.planes.u, picture.planes.v))
        wide = np.zeros((60, 160), np.uint8)
        wide[top + 20 : top + 20 + levels.shape[0], left + 40 : left + 40 + levels.shape[1]] = levels
        inside = wide[20:36, 40:100]
        draw_levels(picture, levels, left, top, look)
        ramp, quarter = ramp_of(look, picture), means_of_fours(inside)
        np.testing.assert_array_equal(picture.planes.y, laid(y, ramp[0], inside))
        np.testing.assert_array_equal(picture.planes.u, laid(u, ramp[1], quarter))
        np.testing.assert_array_equal(picture.planes.v, laid(v, ramp[2], quarter))

    @given(
        ids=arrays.arrays(np.uint8, st.tuples(st.just(6), st.sampled_from([2, 10, 48])), elements=st.integers(0, 40)),
        tinted=st.sets(st.integers(0, 40), max_size=6),
    )
    @settings(deadline=None)
    def test_tint_classes(self, ids: np.ndarray, tinted: set[int]) -> None:
        generator, (height, width) = np.random.default_rng(3), ids.shape
        planes = [generator.integers(0, 256, size, np.uint8) for size in (ids.shape, *[(height // 2, width // 2)] * 2)]
        share, color = np.zeros(256, np.uint8), generator.integers(0, 256, (256, 3), np.uint8)
        share[list(tinted)] = generator.integers(1, 256, len(tinted))
        y, u, v = (np.empty_like(plane) for plane in planes)
        tint_classes(*planes, ids, np.array(sorted(tinted), np.uint8), share, color, y, u, v)
        quarter = ids[::2, ::2]
        for part, (ours, below) in enumerate(zip((y, u, v), planes, strict=True)):
            where = quarter if part else quarter.repeat(2, axis=0).repeat(2, axis=1)
            coming = share.astype(int)[where]
            np.testing.assert_array_equal(ours, (below * (256 - coming) + color[where, part] * coming + 128) >> 8)

    @given(
        road=arrays.arrays(np.uint8, st.tuples(st.sampled_from([2, 8, 30]), st.sampled_from([2, 14, 64]))),
        half=st.integers(1, 7),
        above=st.integers(0, 30),
    )
    @settings(deadline=None)
    def test_lay_road(self, road: np.ndarray, half: int, above: int) -> None:
        road = (road > 100).astype(np.uint8)
        road[:above] = 0
        generator, (height, width) = np.random.default_rng(4), road.shape
        planes = [generator.integers(0, 256, size, np.uint8) for size in (road.shape, *[(height // 2, width // 2)] * 2)]
        color, opacity = (generator.integers(0, high, size).astype(np.uint16)
                          for high, size in ((256, (height, 3)), (241, height)))  # fmt: skip
        y, u, v = (plane.copy() for plane in planes)
        lay_road(y, u, v, road, half, color, opacity)

        side = 2 * half + 1
        room = np.pad(road.astype(int), half, mode="edge")
        sums = np.lib.stride_tricks.sliding_window_view(room, (side, side)).sum(axis=(2, 3))
        factor = (opacity.astype(int) * 256 + side * side // 2) // (side * side)
        share = (sums * factor[:, None] + 128) >> 8
        assert np.abs(share - sums / side**2 * opacity[:, None]).max() < 1.5
        for part, (ours, below) in enumerate(zip((y, u, v), planes, strict=True)):
            over, tone = (means_of_fours(share), color[::2, part]) if part else (share, color[:, part])
            np.testing.assert_array_equal(ours, (below * (256 - over) + tone.astype(int)[:, None] * over + 128) >> 8)

    @pytest.mark.parametrize(("left", "top"), [(4, 6), (5, 6), (4, 7), (5, 7), (0, 0), (13, 11)])
    def test_a_picture_can_be_laid_over_it_anywhere(self, left: int, top: int) -> None:
        inset, cover = np.full((5, 7, 3), (10, 200, 30), np.uint8), np.full((5, 7), 255, np.uint8)
        picture = YuvImage(np.full((24, 20), 100, np.uint8), "bt709", False)
        lay_picture(picture, inset, cover, left, top)
        luma = np.full((16, 20), 100)
        luma[top : top + 5, left : left + 7] = yuv_color((10, 200, 30), "bt709", False)[0]
        np.testing.assert_allclose(picture.planes.y, luma, atol=1)
        beside = np.full((16, 20, 3), 100, np.uint8)
        lay_picture(beside, inset, cover, left, top)
        np.testing.assert_array_equal(beside[top : top + 5, left : left + 7], inset)

    def test_strokes_leave_the_layer_empty(self) -> None:
        picture, layer = YuvImage(np.full((36, 33 * 2), 100, np.uint8), "bt709", False), Layer(24, 66)
        line = np.array([[-5, 3], [30, 12], [80, 20]], np.float32)
        draw_lines(picture, [line], Pen((0, 255, 0), 3.0), layer)
        assert not layer.closeness.any()
        assert (layer.marked[:, 1] == 0).all()
        assert picture.planes.y[12, 30] == yuv_color((0, 255, 0), "bt709", False)[0]
