"""How a person is taken as a portrait: the people of the anime style, shaded like a photograph.

Head, hair and clothes stand where the anime style puts them, in the same head units, so that the two
pictures of a person lie over each other; the proportions of the face are a human's. What many people
share is baked once (`portrait_face.py`, `portrait_hair.py`); a portrait bends it by its depth
(`portrait_pose.py`), dyes and lights it (`portrait_light.py`), and a camera adds the room, the tones
and the grain (`portrait_lens.py`). Clothes, glasses and ornaments are the anime's own stencils.

Of a person's spare numbers it uses, besides the anime's: 4-6 sway of the hair, 38 white balance,
39 strength of the grain.
"""

import math
from collections.abc import Callable
from types import SimpleNamespace

import cv2
import numpy as np

from anime_keras.data import (
    anime,
    anime_wear,
    portrait_face,
    portrait_hair,
    portrait_lens,
    portrait_light,
    portrait_pose,
)
from anime_keras.data.anime import Easel, Placement
from anime_keras.data.portrait_pose import Crop
from anime_keras.data.stencils import UNITS, Stencil, circle, mix, paint, tint

_SKIN = {
    "porcelain": (240, 202, 181),
    "fair": (226, 179, 149),
    "tan": (203, 148, 110),
    "brown": (154, 103, 74),
    "dark": (106, 70, 51),
}
# A human face is a larger part of the head: all is a little larger than in the anime, and the
# anime's hair is narrowed to it.
_LARGER = 1.05
_WIG_SCALE = (0.865, 0.905)
_DYED = ("cloth", "cloth_shade", "navy", "dark", "dark_light", "accent", "accent_light")
_TIES = {"twin tails": ((-0.61, -0.45), (0.61, -0.45)), "ponytail": ((0.42, -0.82),)}


def canvas_side(size: int) -> int:
    """Side of the canvas on which a picture of `size` pixels is taken.

    The baked maps are smooth already, so half as many pixels again are enough to shrink from.
    """
    return max(128, 3 * size // 2)


def shoot(person: SimpleNamespace, easel: Easel, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Takes a portrait.

    Args:
        person: A row of `people.People`.
        easel: Where to paint, `canvas_side(size)` wide.
        size: Side of the picture.

    Returns:
        The picture, uint8 RGB (size, size, 3), and the points of `anime.LANDMARKS` (points, 2), x
        and y as fractions of the side.
    """
    picture, marks = draw(person, easel)
    return portrait_lens.develop(picture, person, size), marks


def draw(person: SimpleNamespace, easel: Easel) -> tuple[np.ndarray, np.ndarray]:
    """A portrait as the light falls on the sensor: float32 (side, side, 3), and its landmarks."""
    sitting = _Sitting(person, easel)
    sitting.take_room()
    sitting.take_body()
    sitting.take_head()
    sitting.take_hair()
    return sitting.picture, sitting.pose.landmarks()


class _Sitting(anime.Sheet):
    """One portrait: the anime's sheet, and a picture of light beside its canvas of colours."""

    def __init__(self, person: SimpleNamespace, easel: Easel) -> None:
        super().__init__(person, easel)
        head, roll = self.head, math.radians(person.roll)
        unit = _LARGER * float(np.hypot(*head.right))
        x, y = head.origin
        self.head = Placement(x, y, unit, 0, 0, 0, 0)
        self.head.right, self.head.down = (
            tuple(_LARGER * v for v in axis) for axis in (head.right, head.down)
        )
        self.pose = portrait_pose.Pose(person, self.head, self.side)
        self.lamp = portrait_light.Lamp(person)
        wide = 1.3 * unit
        self.body = Placement(
            x, y - 0.31 * unit, wide, 0.25 * roll, 0.5 * self.pose.turn, 0, 0.009 * wide
        )
        self.whole: Crop = (slice(0, self.side), slice(0, self.side))
        self._mix_natural_colors()

    def _mix_natural_colors(self) -> None:
        p, drawn = self.person, self.colors
        skin = _SKIN[p.skin_tone]
        gray = sum(drawn["hair"]) / 3
        hair = tint(mix(drawn["hair"], (gray, gray, gray), 0.10), (0.93, 0.90, 0.88))
        brow = mix(tint(hair, (0.47, 0.47, 0.47)), (24, 17, 13), 0.10)
        if p.hair_color in ("white", "blonde", "gray"):
            brow = tint(brow, (1.25, 1.25, 1.25))
        eye = tint(mix(drawn["iris"], (90, 80, 72), 0.16), (0.92, 0.92, 0.92))
        self.skin, self.hair, self.brow, self.eye = (
            np.float32(color) / 255 for color in (skin, hair, brow, eye)
        )
        # The anime's painters shade by flat colours; here the lamp does it.
        drawn |= dict.fromkeys(("skin", "skin_dark", "skin_deep", "skin_line"), skin)
        drawn["white"] = (226, 226, 228)

    # -- what the anime's painters need ------------------------------------------------------------

    def paint(self, stencil: Stencil, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Paints on the canvas with muted dyes, and with seams instead of contours."""
        c = self.colors
        if "cloth" in c:
            muted = {word: mix(c[word], (120, 116, 112), 0.16) for word in _DYED}
            c = {
                **c,
                **muted,
                "cloth_line": mix(muted["cloth_shade"], (96, 92, 98), 0.6),
                "accent_line": tint(muted["accent"], (0.6, 0.58, 0.6)),
                "hair_line": tint(c["hair"], (0.7, 0.68, 0.7)),
            }
        return paint(self.canvas, stencil, frame, c)

    def frame(
        self, pose: Placement, scale: tuple[float, float] = (1, 1), wiggle: bool = False
    ) -> np.ndarray:
        """The anime's frame; what sits on the head is narrowed with the hair."""
        if pose is self.head:
            scale = (scale[0] * _WIG_SCALE[0], scale[1] * _WIG_SCALE[1])
        return super().frame(pose, scale, wiggle)

    def patch(
        self,
        x: float,
        y: float,
        depth: float = 0.40,
        mirror: int = 1,
        scale: tuple[float, float] = (1, 1),
        tilt: float = 0,
    ) -> np.ndarray:
        """The anime's frame of a flat patch on the face, moved to a human's eyes and nose."""
        part = 0.70
        scale = (part * scale[0], part * scale[1])
        return super().patch(
            part * x, part * (y - 0.085) + 0.008, depth - 0.02, mirror, scale, tilt
        )

    def _painted(self, painter: Callable[[anime.Sheet], None]) -> tuple[np.ndarray, np.ndarray]:
        """What a painter of the anime style paints: colour times cover, and cover, in [0, 1].

        It paints on white and on black; where the two agree, the paint covers.
        """
        self.canvas.fill(255)
        painter(self)
        on_white = self.canvas[..., 0].astype(np.float32)
        self.canvas.fill(0)
        painter(self)
        color = self.canvas.astype(np.float32) / 255
        cover = 1 + color[..., 0] - on_white / 255
        blur = 0.005 * self.pose.unit + 0.2
        return cv2.GaussianBlur(color, (0, 0), blur), cv2.GaussianBlur(cover, (0, 0), blur)

    # -- the picture, back to front ----------------------------------------------------------------

    def take_room(self) -> None:
        """The room and the hair behind the head."""
        p = self.person
        self.picture = portrait_lens.background(p, self.side)
        side = 1 if p.spare[6] < 0.5 else -1
        level = self.pose.level(portrait_hair.RESOLUTION)
        self._take_flat_wig(portrait_hair.behind(p.back_hair, side, level), level, -0.1, 0.92)
        if p.back_hair in _TIES:
            spots = [(x * side, y) for x, y in _TIES[p.back_hair]]
            self._take_object(lambda sheet: _paint_ties(sheet, spots), 0.2)

    def take_body(self) -> None:
        """Neck and clothes, and the hair that falls on them."""
        p, body = self.person, self.body
        color, cover = self._painted(anime_wear.draw_body)
        (a, b), _ = np.linalg.inv(np.array([body.right, body.down]).T / UNITS).tolist()
        steps = np.arange(self.side, dtype=np.float32)
        across = steps - body.origin[0] / UNITS
        down = (steps - body.origin[1] / UNITS)[:, None]
        # The neck is a narrow cylinder, the shoulders a wide one.
        neck = np.clip(11.6 - down / (0.1 * self.pose.unit), 0, 1)
        facing = np.clip((a * across + b * down) / (0.75 - 0.5 * neck), -1, 1)
        cosine = facing * self.lamp.toward[0] + 0.80 * np.sqrt(1.05 - facing * facing) + 0.1
        portrait_light.lay(self.picture, color * portrait_light.daylight(cosine), cover)
        if p.back_hair in ("long", "wavy", "braids"):
            level = self.pose.level(portrait_hair.RESOLUTION)
            self._take_flat_wig(portrait_hair.falling(p.back_hair, level), level, 0.0, 0.96)

    def take_head(self) -> None:
        """Ears and face, their shadow on what is below, and glasses."""
        p, pose, face = self.person, self.pose, portrait_face
        level = pose.level(face.RESOLUTION)
        plate = face.plate(p.gender, p.expression, anime.eyes_shut(p), level)
        crop = pose.crop(face.LEFT, face.TOP, face.WIDTH, face.HEIGHT)
        x, y = pose.on_plate(*pose.seen(crop, pose.face_depth))
        resolution = face.RESOLUTION / 2**level
        maps = portrait_pose.remap_from(crop, x, y, (face.LEFT, face.TOP), resolution)
        relief, skin, ink = (
            portrait_pose.sample(m, maps) for m in (plate.relief, plate.tint, plate.ink)
        )
        cover = np.ascontiguousarray(relief[..., 3])
        self._shade(crop, cover, (-0.05 * self.light, 0.10), 0.045, 0.52)
        if p.gender == "masculine" or p.back_hair not in ("bob", "long", "wavy"):
            self._take_ears(level)

        color = self.lamp.on_skin(relief, skin, self.skin)
        blush = p.blush * (0.16 if p.expression in ("smile", "laugh") else 0.11)
        blush *= 0.7 if p.skin_tone in ("brown", "dark") else 1
        color *= 1 - ink[..., :1] * np.float32([0.0, blush, 0.8 * blush])
        if not anime.eyes_shut(p):
            self._set_eyes(crop, color, ink[..., 2])
        if p.expression in ("laugh", "angry", "surprised"):
            mouth = portrait_pose.sample(plate.mouth, maps)
            color += mouth[..., :3] - mouth[..., 3:] * color
        color += (0.85 * ink[..., 3:]) * (self.brow - color)
        color += ink[..., 1:2] * (self.skin * np.float32([0.20, 0.13, 0.11]) - color)
        portrait_light.lay(self.picture[crop], color * cover[..., None], cover)
        if p.glasses != "none":
            self._take_object(anime_wear.draw_glasses, 0.30)

    def take_hair(self) -> None:
        """Hair on the skull and over the forehead, and what is worn in it."""
        p, pose, hair = self.person, self.pose, portrait_hair
        level = pose.level(hair.RESOLUTION)
        wig = hair.front(p.fringe, _side_style(p), level)
        crop = pose.crop(-0.80, -0.98, 1.60, 1.70)
        x, y = pose.seen(crop, pose.hair_depth)
        wide, tall = self._wig_scale()
        x, y = x / wide, y / tall
        # Tips of the locks fall a little differently on everyone.
        loose = np.clip(y + 0.6, 0, 0.5) ** 2
        for reach, phase, pace in zip(
            p.spare[1:4].tolist(), p.spare[4:7].tolist(), (5, 8, 13), strict=True
        ):
            x = x + loose * (0.28 * (reach - 0.5)) * np.sin(pace * x + 6 * phase)
        resolution = hair.RESOLUTION / 2**level
        maps = portrait_pose.remap_from(crop, x, y, (hair.LEFT, hair.TOP), resolution)
        color, cover = self.lamp.on_hair(portrait_pose.sample(wig, maps), self.hair, 1.0)
        self._shade(crop, cover, (-0.02 * self.light, 0.035), 0.022, 0.36)
        portrait_light.lay(self.picture[crop], color, cover)
        if p.ornament != "none":
            self._take_object(anime_wear.draw_ornament, 0.35)

    # -- parts -------------------------------------------------------------------------------------

    def _wig_scale(self) -> tuple[float, float]:
        volume = self.person.hair_volume
        return _WIG_SCALE[0] * volume, _WIG_SCALE[1] * (1 + 0.4 * (volume - 1))

    def _take_flat_wig(self, wig: np.ndarray, level: int, depth: float, bright: float) -> None:
        scale = np.array(self._wig_scale())
        step = scale * 2**level / portrait_hair.RESOLUTION
        corner = scale * [portrait_hair.LEFT, portrait_hair.TOP] + 0.5 * step
        placed = cv2.warpAffine(wig, self.pose.flat(corner, step, depth), (self.side, self.side))
        portrait_light.lay(self.picture, *self.lamp.on_hair(placed, self.hair, bright))

    def _take_ears(self, level: int) -> None:
        relief, tint_map = portrait_face.ear(level)
        left, top, width, height = portrait_face.EAR
        for side in (-1, 1):
            step = np.array([side, 1]) * 2**level / portrait_face.RESOLUTION
            step[0] *= self.person.jaw_width
            corner = np.array([side * left * self.person.jaw_width, top]) + 0.5 * step
            # The far ear hides behind the cheek.
            far = side * self.pose.turn > 0
            matrix = self.pose.flat(corner, step, -0.07 if far else 0.0)
            crop = self.pose.crop(min(side * left, side * (left + width)), top, width, height)
            rows, columns = crop
            matrix[:, 2] -= columns.start, rows.start
            size = (columns.stop - columns.start, rows.stop - rows.start)
            near = cv2.warpAffine(relief, matrix, size)
            near[..., 0] *= side
            # The hair takes some of the light.
            color = self.lamp.on_skin(
                near, cv2.warpAffine(tint_map, matrix, size), 0.86 * self.skin
            )
            cover = near[..., 3]
            portrait_light.lay(self.picture[crop], color * cover[..., None], cover)

    def _set_eyes(self, crop: Crop, color: np.ndarray, opening: np.ndarray) -> None:
        """Eyeballs, irises and catchlights between the lids."""
        p, pose = self.person, self.pose
        corner = np.array([crop[1].start, crop[0].start])
        radius = portrait_face.IRIS * p.iris_size * (0.92 if p.expression == "surprised" else 1)
        white = np.float32([0.84, 0.80, 0.78])
        white *= 0.88 if p.skin_tone in ("brown", "dark") else 0.97
        for side in (-1, 1):
            middle = pose.fitted(np.array([[pose.eye(side)[0], portrait_face.EYE_Y]]))
            gaze = middle + np.array([[p.gaze_x * 0.16, 0.002 + p.gaze_y * 0.08]])
            beside = gaze + np.array([[1e-3, 0]])
            near, iris, along = pose.place(np.concatenate([middle, gaze, beside])) - corner
            narrow = np.linalg.norm(along - iris) / 1e-3 / pose.unit
            reach = 0.15 * pose.unit
            left, top = np.maximum(np.floor(near - reach), 0).astype(int).tolist()
            right, low = np.maximum(np.ceil(near + reach), 0).astype(int).tolist()
            skin, lids = color[top:low, left:right], opening[top:low, left:right, None]
            x = np.arange(left, left + skin.shape[1]) - iris[0]
            y = (np.arange(top, top + skin.shape[0]) - iris[1])[:, None]
            (a, b), (c, d) = pose.back
            # From here on in radii of the iris.
            u = np.float32((a * x + b * y) / (radius * narrow))
            v = np.float32((c * x + d * y) / radius)
            skin += lids * (self._eyeball(u, v, radius, white) - skin)

    def _eyeball(
        self, u: np.ndarray, v: np.ndarray, radius: float, white: np.ndarray
    ) -> np.ndarray:
        """Colours of an eye without lids at points in radii of the iris."""
        level = min(max(round(math.log2(51 / (radius * self.pose.unit)) - 0.3), 0), 3)
        baked = portrait_face.iris(level)
        maps = [(w * 0.4 + 0.5) * len(baked) - 0.5 for w in (u, v)]
        disc = cv2.remap(baked, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        bright, cover, pupil = disc[..., :1], disc[..., 1:2], disc[..., 2:3]
        # The ball is round and lies in the shade of the upper lid.
        ball = white * np.clip(1.0 - 0.030 * u * u + 0.16 * v, 0.45, 1.02)[..., None]
        iris = self.eye * bright * (1 - pupil) + 0.035
        iris *= np.clip(1.02 + 0.30 * v, 0.55, 1.1)[..., None]
        ball += cover * (iris - ball)
        glint = np.exp(-((((u - 0.34 * self.light) / 0.24) ** 2 + ((v + 0.36) / 0.22) ** 2) ** 2))
        return ball + 0.92 * glint[..., None] * (1 - ball)

    def _take_object(self, painter: Callable[[anime.Sheet], None], dark: float) -> None:
        """Something that an anime painter paints, standing out a little and with a shadow."""
        color, cover = self._painted(painter)
        self._shade(self.whole, cover, (-0.02 * self.light, 0.03), 0.015, dark)
        bulge = cv2.GaussianBlur(cover, (0, 0), 0.02 * self.pose.unit)
        slope = 0.6 * self.light * cv2.Sobel(bulge, -1, 1, 0) - cv2.Sobel(bulge, -1, 0, 1)
        color *= np.clip(0.92 - 0.04 * self.pose.unit * slope, 0.5, 1.25)[..., None]
        portrait_light.lay(self.picture, color, cover)

    def _shade(
        self, crop: Crop, cover: np.ndarray, move: tuple[float, float], blur: float, dark: float
    ) -> None:
        """A shadow on the picture, its measures in head units."""
        unit = self.pose.unit
        moved = (move[0] * unit, move[1] * unit)
        portrait_light.shade(self.picture[crop], cover, moved, blur * unit, dark)


def _paint_ties(sheet: anime.Sheet, spots: list[tuple[float, float]]) -> None:
    """Bands round the tails of the hair."""
    stencil = Stencil()
    for x, y in spots:
        band = circle((0.06, 0.09), x, y, 16)
        stencil.fill(np.column_stack([band, np.full(len(band), -0.1)]), "accent")
    sheet.paint(stencil, sheet.frame(sheet.head))


def _side_style(p: SimpleNamespace) -> str:
    """Which locks hang before the ears; as in the anime."""
    if p.gender == "masculine" or p.back_hair in ("short", "spiky"):
        return "short"
    return "bob" if p.back_hair == "bob" else "long"
