"""How a person is taken as a portrait: the people of the anime style, shaded like a photograph.

Head, hair and clothes stand where the anime style puts them, on the same head units, so that the two
pictures of a person lie over each other; the proportions of the face are a human's. What is shared
by many people is baked once (`portrait_face.py`, `portrait_hair.py`); a portrait bends it by its
depth, dyes it, and lights it by a lamp at the person's `light` and a pale sky.

The bending is an inverse warp: the point (x, y) of a head with depth z(x, y) is seen at
(x + turn z, y - nod z), and Newton's method finds the point that a pixel sees.
"""

import math
from functools import cache
from types import SimpleNamespace

import cv2
import numpy as np

from anime_keras.data import anime, anime_wear, portrait_face, portrait_hair, portrait_lens
from anime_keras.data.anime import Easel, Placement
from anime_keras.data.stencils import UNITS, Stencil, mix, paint, tint

_SKIN = {
    "porcelain": (236, 203, 188),
    "fair": (222, 180, 156),
    "tan": (198, 148, 115),
    "brown": (152, 104, 78),
    "dark": (103, 69, 54),
}
# The anime's hair, narrowed to a human head.
_WIG_SCALE = (0.865, 0.905)
_DYED = ("cloth", "cloth_shade", "navy", "dark", "dark_light", "accent", "accent_light")
_GRID = 64
"""Side of the coarse grid on which the warp is solved."""


def canvas_side(size: int) -> int:
    """Side of the canvas on which a picture of `size` pixels is taken.

    The baked maps are smooth already, so half as many pixels again are enough to shrink from.
    """
    return max(128, 3 * size // 2)


def draw(person: SimpleNamespace, easel: Easel) -> tuple[np.ndarray, np.ndarray]:
    """Takes a portrait, undeveloped.

    Args:
        person: A row of `people.People`.
        easel: Where to paint clothes and ornaments.

    Returns:
        The picture, float32 (side, side, 3) about [0, 1], and the points of `anime.LANDMARKS`
        (points, 2), x and y as fractions of the side.
    """
    sitting = _Sitting(person, easel)
    sitting.take_room()
    sitting.take_body()
    marks = sitting.take_face()
    sitting.take_hair()
    return sitting.picture, marks


def shoot(person: SimpleNamespace, easel: Easel, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A portrait, developed: uint8 (size, size, 3), and its landmarks as `draw` gives them."""
    picture, marks = draw(person, easel)
    return portrait_lens.develop(picture, person, size), marks


class _Sitting(anime.Sheet):
    """One portrait: the anime's sheet, and a picture of light instead of a canvas of colours."""

    def __init__(self, person: SimpleNamespace, easel: Easel) -> None:
        super().__init__(person, easel)
        yaw, pitch = math.radians(person.yaw), math.radians(person.pitch)
        self.turn, self.nod = 0.86 * math.sin(yaw), 0.9 * math.sin(pitch)
        head, side = self.head, self.side
        head.front = tuple(
            self.turn * r - self.nod * d for r, d in zip(head.right, head.down, strict=True)
        )
        self._whole = (slice(0, side), slice(0, side))
        # Canvas pixels from head units, without depth.
        self.axes = np.array([head.right, head.down]).T / UNITS
        self.middle = np.array(head.origin) / UNITS
        self.unit = float(np.hypot(*self.axes[:, 0]))
        self.back = np.linalg.inv(self.axes)
        unit = 1.3 * self.unit * UNITS
        x = self.middle[0] * UNITS
        y = head.origin[1] - 0.31 * self.unit * UNITS
        self.body = Placement(
            x, y, unit, 0.25 * math.radians(person.roll), 0.5 * self.turn, 0, 0.009 * unit
        )
        self._mix_photo_colors()
        self._aim_lamp(yaw, pitch)
        self.picture = np.empty((side, side, 3), np.float32)

    def _mix_photo_colors(self) -> None:
        drawn = self.colors
        skin = _SKIN[self.person.skin_tone]
        gray = sum(drawn["hair"]) / 3
        hair = tint(mix(drawn["hair"], (gray, gray, gray), 0.10), (0.93, 0.90, 0.88))
        self.skin, self.hair = np.float32(skin) / 255, np.float32(hair) / 255
        self.eye = 0.92 * np.float32(mix(drawn["iris"], (90, 80, 72), 0.16)) / 255
        self.brow = 0.55 * self.hair * 0.8 + 0.55 * 0.2 * np.float32([0.35, 0.25, 0.2])
        if self.person.hair_color in ("white", "blonde", "gray"):
            self.brow *= 1.25
        drawn |= {"skin": skin, "skin_dark": skin, "skin_deep": skin, "skin_line": skin}
        drawn["white"] = (226, 226, 228)

    def _aim_lamp(self, yaw: float, pitch: float) -> None:
        """Turns lamp and half vector into the head, whose plates were baked from the front."""
        p = self.person
        lamp = np.array([0.75 * p.light + 0.25 * np.sign(p.light), -0.50, 0.90])
        lamp /= np.linalg.norm(lamp)
        half = lamp + [0, 0, 1]
        half /= np.linalg.norm(half)
        c, s = math.cos(math.radians(p.roll)), math.sin(math.radians(p.roll))
        roll = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
        c, s = math.cos(0.8 * yaw), math.sin(0.8 * yaw)
        turn = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
        # Plain floats: a NumPy scalar would make float64 of every picture it touches.
        self.lamp = (turn @ roll @ lamp).tolist()
        self.lamps = np.zeros((2, 4))
        self.lamps[:, :3] = self.lamp, turn @ roll @ half

    def paint(self, stencil: Stencil, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Paints on the canvas with seams instead of contours."""
        c = self.colors
        if "cloth" in c:
            muted = {w: mix(c[w], (120, 116, 112), 0.16) for w in _DYED if w in c}
            seam = mix(muted["cloth_shade"], (96, 92, 98), 0.6)
            seams = {"cloth_line": seam, "accent_line": tint(muted["accent"], (0.6, 0.58, 0.6))}
            c = {**c, **muted, **seams, "hair_line": tint(c["hair"], (0.7, 0.68, 0.7))}
        return paint(self.canvas, stencil, frame, c)

    def frame(
        self, pose: Placement, scale: tuple[float, float] = (1, 1), wiggle: bool = False
    ) -> np.ndarray:
        """The anime's frame; what sits on the head is narrowed with the hair."""
        if pose is self.head:
            scale = (scale[0] * _WIG_SCALE[0], scale[1] * _WIG_SCALE[1])
        return super().frame(pose, scale, wiggle)

    def patch(self, x, y, depth=0.40, mirror=1, scale=(1, 1), tilt=0) -> np.ndarray:
        """The anime's frame of a flat patch on the face, on a human's: its eyes are closer."""
        factor = 0.70
        x, y = factor * x, factor * (y - 0.085) + 0.008
        return super().patch(
            x, y, depth - 0.02, mirror, (scale[0] * factor, scale[1] * factor), tilt
        )

    # -- where things are --------------------------------------------------------------------------

    def _crop(self, left: float, top: float, width: float, height: float) -> tuple[slice, slice]:
        """Rows and columns of the canvas that hold a rectangle of head units, with some margin."""
        x, y = np.array([left, left + width]) * 1.06, np.array([top, top + height]) * 1.06
        corners = np.array([[a, b] for a in x for b in y]) + [[0.2 * self.turn, -0.2 * self.nod]]
        placed = corners @ self.axes.T + self.middle
        low = np.clip(np.floor(placed.min(axis=0) - 0.06 * self.unit), 0, self.side).astype(int)
        high = np.clip(np.ceil(placed.max(axis=0) + 0.06 * self.unit), 0, self.side).astype(int)
        return slice(low[1], high[1]), slice(low[0], high[0])

    def _seen(self, crop: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
        """Head units (u, v) on the picture plane, on a coarse grid over a crop."""
        rows, columns = crop
        tall, wide = rows.stop - rows.start, columns.stop - columns.start
        grid = _GRID if max(tall, wide) > _GRID else max(tall, wide)
        px = columns.start + (np.arange(grid) + 0.5) * wide / grid - 0.5 - self.middle[0]
        py = rows.start + (np.arange(grid) + 0.5) * tall / grid - 0.5 - self.middle[1]
        (a, b), (c, d) = self.back
        u = a * px[None] + b * py[:, None]
        v = c * px[None] + d * py[:, None]
        return u.astype(np.float32), v.astype(np.float32)

    def _maps(
        self, crop: tuple[slice, slice], x: np.ndarray, y: np.ndarray, baked, level: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """`cv2.remap`'s maps over a crop, from plate coordinates on the coarse grid."""
        rows, columns = crop
        size = (columns.stop - columns.start, rows.stop - rows.start)
        scale = baked.RESOLUTION / 2**level
        grid = np.stack([(x - baked.LEFT) * scale - 0.5, (y - baked.TOP) * scale - 0.5], axis=-1)
        fine = cv2.resize(grid.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
        return cv2.split(fine)

    def _level(self, resolution: float) -> int:
        """Which halving of a baked map to sample."""
        return int(np.clip(round(math.log2(resolution / self.unit) - 0.2), 0, 3))

    def _face_depth(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Depth of the face and its slope along x."""
        tip = 0.24 if self.person.gender == "feminine" else 0.26
        nose = np.where(y < tip, (y - tip) / 0.15, (y - tip) / 0.05)
        nose = 0.115 * np.exp(-0.5 * ((x / 0.06) ** 2 + nose**2))
        square = x * x
        z = 0.34 - square - 4.0 * square * square - 0.30 * (y - 0.1) ** 2 + nose
        return z, -x * (2.0 + 16.0 * square + nose / 0.0036)

    def _hair_depth(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return 0.38 - 0.9 * x * x - 0.42 * (y + 0.1) ** 2, -1.8 * x

    def _solve(self, u: np.ndarray, v: np.ndarray, depth) -> tuple[np.ndarray, np.ndarray]:
        """The points (x, y) that are seen at (u, v)."""
        x, y = u - 0.2 * self.turn, v + 0.2 * self.nod
        for _ in range(4):
            z, slope = depth(x, y)
            x = x - (x + self.turn * z - u) / np.maximum(1 + self.turn * slope, 0.35)
            x = np.clip(x, -0.9, 0.9)
            y = v + self.nod * depth(x, y)[0]
        return x, y

    def _place(self, points: np.ndarray) -> np.ndarray:
        """Canvas pixels of points (n, 2) of the face."""
        x, y = points[:, 0], points[:, 1]
        z, _ = self._face_depth(x, y)
        return np.stack([x + self.turn * z, y - self.nod * z], axis=1) @ self.axes.T + self.middle

    # -- light -------------------------------------------------------------------------------------

    def _blend(self, crop, color: np.ndarray, cover: np.ndarray, premultiplied=False) -> None:
        """Lays `color` over the picture where `cover` (rows, columns, 1) says so."""
        under = self.picture[crop]
        if premultiplied:
            under *= 1 - cover
            under += color
        else:
            under += cover * (color - under)

    # -- the picture, back to front -----------------------------------------------------------------

    def take_room(self) -> None:
        p = self.person
        self.picture[:] = portrait_lens.background(p, self.side)
        side = 1 if p.spare[6] < 0.5 else -1
        level = self._level(portrait_hair.RESOLUTION)
        wig = portrait_hair.behind(p.back_hair, side, level)
        self._take_flat_wig(wig, level, -0.1, 0.92)

    def _take_flat_wig(self, wig: np.ndarray, level: int, depth: float, bright: float) -> None:
        volume = self.person.hair_volume
        scale = np.array(_WIG_SCALE) * [volume, 1 + 0.4 * (volume - 1)]
        place = portrait_hair.RESOLUTION / 2**level
        # From wig pixels to canvas pixels: p = A (scale (q / place + corner) + depth) + middle.
        corner = np.array([portrait_hair.LEFT, portrait_hair.TOP]) + 0.5 / place
        linear = self.axes * scale / place
        shift = (
            self.axes @ (scale * corner + depth * np.array([self.turn, -self.nod])) + self.middle
        )
        matrix = np.column_stack([linear, shift])
        image = cv2.warpAffine(wig, matrix, (self.side, self.side), flags=cv2.INTER_LINEAR)
        self._lay_hair(self._whole, image, bright)

    def _lay_hair(self, crop, image: np.ndarray, bright: float) -> None:
        """Dyes and lights a sampled wig, uint8 (rows, columns, 4), and lays it on the picture."""
        light, shine, facing, cover = cv2.split(image.astype(np.float32) / 255)
        color = self._lit_hair(light, shine, facing, cover, bright)
        self._blend(crop, color, cover[..., None], premultiplied=True)

    def _lit_hair(self, light, shine, facing, cover, bright: float) -> np.ndarray:
        """Colour of hair times cover; the four maps are times cover as well."""
        lamp = bright * ((0.86 - 0.42 * self.lamp[0]) * cover + 0.84 * self.lamp[0] * facing)
        whole = np.maximum(cover, 1e-3)
        share = light / whole
        gloss = 0.46 * (lamp / whole) * shine * (0.46 + 0.73 * share)
        lamp *= 0.30 + 1.12 * share
        pale = 0.55 * self.hair + 0.45 * np.float32([1.0, 0.97, 0.92])
        # One product of matrices instead of four passes over three colours.
        return cv2.transform(cv2.merge((lamp, gloss)), np.column_stack([self.hair, pale]))

    def take_body(self) -> None:
        """Neck and clothes, painted flat with the anime's stencils and then lit."""
        p = self.person
        color, cover = self._painted(anime_wear.draw_body)
        body = self.body
        (a, b), _ = np.linalg.inv(np.array([body.right, body.down]).T / UNITS)
        px = np.arange(self.side) - body.origin[0] / UNITS
        py = np.arange(self.side)[:, None] - body.origin[1] / UNITS
        x = (a * px + b * py).astype(np.float32)
        # The neck is a narrow cylinder, the shoulders a wide one.
        neck = np.clip((1.16 - np.float32(py / self.unit)) / 0.1, 0, 1)
        facing = np.clip(x / (0.75 - 0.5 * neck), -1, 1)
        cosine = facing * self.lamp[0] + np.sqrt(1.05 - facing * facing) * 0.80 + 0.1
        color *= _daylight()[_steps(cosine)]
        self._blend(self._whole, color, cover, premultiplied=True)
        if p.back_hair in ("long", "wavy", "braids"):
            level = self._level(portrait_hair.RESOLUTION)
            wig = portrait_hair.falling(p.back_hair, level)
            self._take_flat_wig(wig, level, 0.0, 0.9)

    def _painted(self, draw) -> tuple[np.ndarray, np.ndarray]:
        """Runs a painter of the anime style; colour times cover in [0, 1], and cover.

        Painted on white and on black: where the two agree the paint covers.
        """
        self.canvas.fill(255)
        draw(self)
        on_white = self.canvas.copy()
        self.canvas.fill(0)
        draw(self)
        cover = 1 - (on_white[..., :1] - self.canvas[..., :1]).astype(np.float32) / 255
        color = self.canvas.astype(np.float32) / 255
        sigma = 0.005 * self.unit + 0.2
        return cv2.GaussianBlur(color, (0, 0), sigma), cv2.GaussianBlur(cover, (0, 0), sigma)[
            ..., None
        ]

    def _take_object(self, draw, shadow: float) -> None:
        """Something painted by the anime style that stands out a little and throws a shadow."""
        color, cover = self._painted(draw)
        self._darken(self._whole, cover[..., 0], (-0.02 * self.light, 0.03), 0.015, shadow)
        round_ = cv2.GaussianBlur(cover[..., 0], (0, 0), 0.02 * self.unit)
        dx, dy = cv2.Sobel(round_, -1, 1, 0), cv2.Sobel(round_, -1, 0, 1)
        slope = 0.09 * self.unit * (dx * self.light * 0.6 - dy)
        color *= np.clip(0.92 - 0.45 * slope, 0.5, 1.25)[..., None]
        self._blend(self._whole, color, cover, premultiplied=True)

    def take_face(self) -> np.ndarray:
        p, face = self.person, portrait_face
        level = self._level(face.RESOLUTION)
        plate = face.plate(p.gender, p.expression, anime.eyes_shut(p), level)
        crop = self._crop(face.LEFT, face.TOP, face.WIDTH, face.HEIGHT)
        u, v = self._seen(crop)
        x, y = self._solve(u, v, self._face_depth)
        x, y = self._unfit(x, y)
        maps = self._maps(crop, x, y, face, level)

        def sample(image: np.ndarray) -> np.ndarray:
            return cv2.remap(image, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)

        relief, skin, ink = sample(plate.relief), sample(plate.tint), sample(plate.ink)
        color = self._lit_skin(relief, skin, ink[..., 0])
        self._take_shadow(crop, relief[..., 3])
        if not anime.eyes_shut(p):
            self._set_eyes(crop, color, ink[..., 2])
        if p.expression in ("laugh", "angry", "surprised"):
            mouth = sample(plate.mouth)
            color += mouth[..., :3] - mouth[..., 3:] * color
        color += (0.85 * ink[..., 3:]) * (self.brow * 0.9 - color)
        color += ink[..., 1:2] * (self.skin * [0.20, 0.13, 0.11] - color)
        if p.gender == "masculine" or p.back_hair not in ("bob", "long", "wavy"):
            self._take_ears()
        self._blend(crop, color, relief[..., 3:])
        self.face = crop, relief[..., 3]
        if p.glasses != "none":
            self._take_object(anime_wear.draw_glasses, 0.30)
        return self._marks()

    def _lit_skin(self, relief: np.ndarray, skin: np.ndarray, blush: np.ndarray) -> np.ndarray:
        p = self.person
        facing, half = cv2.split(cv2.transform(relief, self.lamps))
        amount = p.blush * (0.16 if p.expression in ("smile", "laugh") else 0.11)
        if p.skin_tone in ("brown", "dark"):
            amount *= 0.7
        color = _daylight()[_steps(facing)] * (self.skin * skin[..., :3])
        color *= 1 - blush[..., None] * np.float32([0.0, amount, 0.8 * amount])
        glow = np.clip(half, 0, 1) ** 18 * skin[..., 3] * 0.16
        return color + glow[..., None] * np.float32([1.0, 0.98, 0.95])

    def _unfit(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From this person's face to the plate's: widths of jaw, eyes and mouth undone."""
        x, y = x / self._jaw_width(), y / self._chin_length()
        moved_x, moved_y = x, y
        for side in (-1, 1):
            spot, matrix = self._eye_fit(side)
            dx, dy = x - spot, y - portrait_face.EYE_Y
            weight = np.clip(2.6 - 1.6 * np.hypot(dx / 0.135, dy / 0.09), 0, 1)
            (a, b), (c, d) = np.linalg.inv(matrix)
            middle = side * portrait_face.EYE_X
            moved_x = moved_x + weight * (middle + a * dx + b * dy - x)
            moved_y = moved_y + weight * (c * dx + d * dy - dy)
        return moved_x, moved_y

    def _jaw_width(self) -> float:
        return self.person.jaw_width

    def _chin_length(self) -> float:
        return self.person.chin_length

    def _eye_fit(self, side: int) -> tuple[float, np.ndarray]:
        """Where an eye sits, and its stretch and tilt as a matrix from the plate's eye."""
        p = self.person
        slope = -0.6 * side * math.tan(math.radians(p.eye_tilt))
        return side * portrait_face.EYE_X * p.eye_spacing, np.array(
            [[p.eye_width, 0], [slope * p.eye_width, p.eye_height]]
        )

    def _fitted(self, points: np.ndarray) -> np.ndarray:
        return points * [self._jaw_width(), self._chin_length()]

    def _marks(self) -> np.ndarray:
        p = self.person
        marks = portrait_face.marks(p.gender, p.expression)
        eyes, brows = [], []
        for side in (-1, 1):
            spot, matrix = self._eye_fit(side)
            eyes.append(marks.eye * [side, 1] @ matrix.T + [spot, portrait_face.EYE_Y])
            brows.append(marks.brow * [side, 1] + [side * portrait_face.EYE_X, 0])
        flat = [*eyes, *brows, marks.nose[None], marks.mouth, marks.jaw, marks.hairline[None]]
        placed = self._place(self._fitted(np.concatenate(flat)))
        return (placed + 0.5) / self.side

    def _set_eyes(self, crop, color: np.ndarray, opening: np.ndarray) -> None:
        """Eyeballs, irises and catchlights, behind the lids."""
        p, rows, columns = self.person, *crop
        for side in (-1, 1):
            spot, _ = self._eye_fit(side)
            middle = self._fitted(np.array([[spot, portrait_face.EYE_Y]]))
            radius = portrait_face.IRIS * p.iris_size * (0.92 if p.expression == "surprised" else 1)
            gaze = middle + [[p.gaze_x * 0.16, 0.002 + p.gaze_y * 0.08]]
            near = self._place(np.concatenate([middle, gaze, gaze + [[1e-3, 0]]]))
            narrow = np.linalg.norm(near[2] - near[1]) / 1e-3 / self.unit
            reach = 0.15 * self.unit
            low = np.floor(near[0] - reach).astype(int) - [columns.start, rows.start]
            high = np.ceil(near[0] + reach).astype(int) - [columns.start, rows.start]
            box = slice(max(low[1], 0), max(high[1], 0)), slice(max(low[0], 0), max(high[0], 0))
            skin = color[box]
            tall, wide = skin.shape[:2]
            px = np.arange(wide) + box[1].start + columns.start - near[1, 0]
            py = (np.arange(tall) + box[0].start + rows.start - near[1, 1])[:, None]
            (a, b), (c, d) = self.back
            u, v = (a * px + b * py) / (radius * narrow), (c * px + d * py) / radius
            level = int(np.clip(round(math.log2(51 / (radius * self.unit)) - 0.3), 0, 3))
            baked = portrait_face.iris(level)
            scale = len(baked)
            maps = [((w * 0.4 + 0.5) * scale - 0.5).astype(np.float32) for w in (u, v)]
            disc = cv2.remap(baked, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            # The ball is round and lies in the shade of the upper lid.
            shade = np.clip(1.0 - 0.030 * u * u + 0.16 * v, 0.45, 1.02)[..., None]
            ball = np.float32([0.84, 0.80, 0.78]) * shade * self._eye_light()
            iris = self.eye * disc[..., :1] * (1 - disc[..., 2:3]) + 0.035
            iris = iris * np.clip(1.02 + 0.30 * v, 0.55, 1.1)[..., None]
            ball = ball + disc[..., 1:2] * (iris - ball)
            glint = np.exp(
                -((((u - 0.34 * self.light) / 0.24) ** 2 + ((v + 0.36) / 0.22) ** 2) ** 2)
            )
            ball = ball + 0.92 * glint[..., None] * (1 - ball)
            skin += opening[box][..., None] * (ball - skin)

    def _eye_light(self) -> float:
        return 0.88 if self.person.skin_tone in ("brown", "dark") else 0.97

    def _take_shadow(self, crop, cover: np.ndarray) -> None:
        """The head's soft shadow on neck and shoulders."""
        self._darken(crop, cover, (-0.05 * self.light, 0.10), 0.045, 0.52)

    def _darken(self, crop, cover, move: tuple[float, float], blur: float, strength: float) -> None:
        """Darkens the picture by a blurred copy of `cover`, moved by head units."""
        dx, dy = np.array(move) * self.unit
        sigma = max(blur * self.unit, 0.5)
        matrix = np.float64([[1, 0, dx], [0, 1, dy]])
        shadow = cv2.warpAffine(cover, matrix, cover.shape[::-1])
        shadow = cv2.GaussianBlur(shadow, (0, 0), sigma)
        self.picture[crop] *= 1 - shadow[..., None] * np.float32(
            [strength * 0.92, strength, 1.02 * strength]
        )

    def _take_ears(self) -> None:
        face = portrait_face
        level = self._level(face.RESOLUTION)
        relief, skin = face.ear(level)
        place = face.RESOLUTION / 2**level
        left, top, width, height = face.EAR
        for side in (-1, 1):
            corner = np.array([side * left, top]) + [0.5 * side / place, 0.5 / place]
            linear = self.axes * [side * self._jaw_width() / place, 1 / place]
            far = -0.07 if side * self.turn > 0 else 0.0
            shift = self.axes @ (corner + far * np.array([self.turn, -self.nod])) + self.middle
            crop = self._crop(min(side * left, side * (left + width)), top, width, height)
            start = [crop[1].start, crop[0].start]
            matrix = np.column_stack([linear, shift - start])
            size = (crop[1].stop - crop[1].start, crop[0].stop - crop[0].start)
            near = cv2.warpAffine(relief, matrix, size)
            if side < 0:
                near[..., 0] *= -1
            color = self._lit_skin(near, cv2.warpAffine(skin, matrix, size), 0 * near[..., 0])
            self._blend(crop, color, near[..., 3:])

    def take_hair(self) -> None:
        """Shadow of the hair on the face, then the hair itself."""
        p, hair = self.person, portrait_hair
        level = self._level(hair.RESOLUTION)
        wig = hair.front(p.fringe, _side_style(p), level)
        crop = self._crop(-0.80, -0.98, 1.60, 1.70)
        u, v = self._seen(crop)
        x, y = self._solve(u, v, self._hair_depth)
        volume = p.hair_volume
        x, y = x / (_WIG_SCALE[0] * volume), y / (_WIG_SCALE[1] * (1 + 0.4 * (volume - 1)))
        # Tips of the locks fall a little differently on everyone.
        loose = np.clip(y + 0.6, 0, 0.5) ** 2
        for index, pace in enumerate((5.0, 8.0, 13.0)):
            reach, phase = p.spare[[1 + index, 4 + index]].tolist()
            sway = (reach - 0.5) * 0.28 * np.sin(pace * x + 6 * phase)
            x = x + loose * sway
        maps = self._maps(crop, x, y, hair, level)
        image = cv2.remap(wig, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        cover = image[..., 3].astype(np.float32) / 255
        self._darken(crop, cover, (-0.02 * self.light, 0.035), 0.022, 0.36)
        self._lay_hair(crop, image, 1.0)
        if p.ornament != "none":
            self._take_object(anime_wear.draw_ornament, 0.35)


def _side_style(p: SimpleNamespace) -> str:
    if p.gender == "masculine" or p.back_hair in ("short", "spiky"):
        return "short"
    return "bob" if p.back_hair == "bob" else "long"


def _steps(cosine: np.ndarray) -> np.ndarray:
    """Indices into `_daylight`."""
    return np.clip(cosine * 127 + 128, 0, 255).astype(np.uint8)


@cache
def _daylight() -> np.ndarray:
    """Light on skin for the cosine between normal and lamp, -1 to 1 in 256 steps, (256, 3).

    Light wraps round a little, red the furthest: skin lets it through, and a shadow's edge is warm.
    """
    cosine = (np.arange(256, dtype=np.float32) - 128) / 127
    wrap = np.float32([0.52, 0.36, 0.30])
    lit = np.clip((cosine[:, None] + wrap) / (1 + wrap), 0, 1)
    lit = lit * lit * (3 - 2 * lit) * 0.35 + lit * 0.65
    return np.float32([0.36, 0.36, 0.38]) + lit * np.float32([0.88, 0.86, 0.83])
