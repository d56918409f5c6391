"""Where the parts of a portrait are: a head of human depth, turned, nodded and fitted to a person.

The bending is an inverse warp: the point (x, y) of a head with depth z(x, y) is seen at
(x + turn z, y - nod z), and Newton's method finds the point that a pixel sees. Before that point is
looked up on a baked plate, the person's own widths of jaw and eyes are undone.
"""

import math
from collections.abc import Callable
from types import SimpleNamespace

import cv2
import numpy as np

from anime_keras.data import portrait_face
from anime_keras.data.anime import Placement
from anime_keras.data.stencils import UNITS

Crop = tuple[slice, slice]
"""Rows and columns of a canvas."""
Depth = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""(x, y) -> depth and its slope along x."""

_GRID = 64
"""Most points along a side of the coarse grid on which the warp is solved."""


class Pose:
    """A person's head on a canvas.

    Attributes:
        side: Side of the canvas.
        turn, nod: How far a point moves right and up by its depth.
        axes: Canvas pixels of one head unit along x and y, the columns of a matrix (2, 2).
        middle: Canvas pixel of the head's origin (2,), pixel centres at .0.
        unit: Canvas pixels a head unit.
    """

    def __init__(self, person: SimpleNamespace, head: Placement, side: int) -> None:
        """`head` is the anime's; its depth is replaced by a human head's, which is less round."""
        self.person, self.side = person, side
        self.turn = 0.86 * math.sin(math.radians(person.yaw))
        self.nod = 0.90 * math.sin(math.radians(person.pitch))
        head.front = tuple(
            self.turn * right - self.nod * down
            for right, down in zip(head.right, head.down, strict=True)
        )
        self.axes = np.array([head.right, head.down]).T / UNITS
        self.middle = np.array(head.origin) / UNITS
        self.unit = float(np.hypot(*self.axes[:, 0]))
        self.back = np.linalg.inv(self.axes).tolist()

    def crop(self, left: float, top: float, width: float, height: float) -> Crop:
        """The part of the canvas that holds a rectangle of head units, with some margin."""
        corners = np.array(
            [[x, y] for x in (left, left + width) for y in (top, top + height)]
        ) * 1.06 + np.array([0.2 * self.turn, -0.2 * self.nod])
        placed = corners @ self.axes.T + self.middle
        margin = 0.06 * self.unit
        low = np.clip(placed.min(axis=0) - margin, 0, self.side).astype(int).tolist()
        high = np.clip(placed.max(axis=0) + margin + 1, 0, self.side).astype(int).tolist()
        return slice(low[1], high[1]), slice(low[0], high[0])

    def seen(self, crop: Crop, depth: Depth) -> tuple[np.ndarray, np.ndarray]:
        """The points (x, y) of a surface that are seen on a coarse grid over a crop."""
        rows, columns = crop
        tall, wide = rows.stop - rows.start, columns.stop - columns.start
        grid = min(_GRID, max(tall, wide))
        steps = (np.arange(grid, dtype=np.float32) + 0.5) / grid
        across = columns.start - 0.5 - float(self.middle[0]) + wide * steps
        down = (rows.start - 0.5 - float(self.middle[1]) + tall * steps)[:, None]
        (a, b), (c, d) = self.back
        u, v = a * across + b * down, c * across + d * down
        x, y = u - 0.2 * self.turn, v + 0.2 * self.nod
        for _ in range(4):
            z, slope = depth(x, y)
            # Where the surface turns away from the eye there is no solution; the slope is kept off 0.
            x = x - (x + self.turn * z - u) / np.maximum(1 + self.turn * slope, 0.35)
            x = np.clip(x, -0.9, 0.9)
            y = v + self.nod * depth(x, y)[0]
        return x, y

    def place(self, points: np.ndarray) -> np.ndarray:
        """Canvas pixels of points (n, 2) of the face."""
        x, y = points[:, 0], points[:, 1]
        z, _ = self.face_depth(x, y)
        return np.stack([x + self.turn * z, y - self.nod * z], axis=1) @ self.axes.T + self.middle

    def flat(self, corner: np.ndarray, step: np.ndarray, depth: float) -> np.ndarray:
        """Affine map (2, 3) to the canvas of a baked map that is flat and lies at a depth.

        Args:
            corner: Head units of its first pixel's centre (2,).
            step: Head units a pixel of it, along x and y (2,).
            depth: In head units.
        """
        shift = corner + depth * np.array([self.turn, -self.nod])
        return np.column_stack([self.axes * step, self.axes @ shift + self.middle])

    def level(self, resolution: float) -> int:
        """How often a map baked at `resolution` pixels a head unit is to be halved."""
        return min(max(round(math.log2(resolution / self.unit) - 0.2), 0), 3)

    def face_depth(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Depth of the face and its slope along x."""
        tip = 0.24 if self.person.gender == "feminine" else 0.26
        along = np.where(y < tip, (y - tip) / 0.15, (y - tip) / 0.05)
        nose = 0.115 * np.exp(-0.5 * ((x / 0.06) ** 2 + along**2))
        square = x * x
        z = 0.34 - square - 4.0 * square * square - 0.30 * (y - 0.1) ** 2 + nose
        return z, -x * (2.0 + 16.0 * square + nose / 0.0036)

    @staticmethod
    def hair_depth(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Depth of the hair in front and its slope along x."""
        return 0.38 - 0.9 * x * x - 0.42 * (y + 0.1) ** 2, -1.8 * x

    # -- this person's face ------------------------------------------------------------------------

    def fitted(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 2) of the plate on this person's face, but for what `eye` moves."""
        return points * [self.person.jaw_width, self.person.chin_length]

    def eye(self, side: int) -> tuple[float, np.ndarray]:
        """Middle of an eye in x's middle, and its stretch and tilt as a matrix from the plate's eye."""
        p = self.person
        slope = -0.6 * side * math.tan(math.radians(p.eye_tilt))
        stretch = np.array([[p.eye_width, 0], [slope * p.eye_width, p.eye_height]])
        return side * portrait_face.EYE_X * p.eye_spacing, stretch

    def on_plate(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The points of the plate that are at (x, y) of this person's face."""
        x, y = x / self.person.jaw_width, y / self.person.chin_length
        plate_x, plate_y = x, y
        for side in (-1, 1):
            spot, stretch = self.eye(side)
            dx, dy = x - spot, y - portrait_face.EYE_Y
            # Whole about the eye, none at brow and nose.
            weight = np.clip(2.6 - 1.6 * np.hypot(dx / 0.135, dy / 0.09), 0, 1)
            (a, b), (c, d) = np.linalg.inv(stretch).tolist()
            plate_x = plate_x + weight * (side * portrait_face.EYE_X + a * dx + b * dy - x)
            plate_y = plate_y + weight * (c * dx + d * dy - dy)
        return plate_x, plate_y

    def landmarks(self) -> np.ndarray:
        """Points of `anime.LANDMARKS` (points, 2) as fractions of the canvas's side."""
        marks = portrait_face.marks(self.person.gender, self.person.expression)
        eyes, brows = [], []
        for side in (-1, 1):
            spot, stretch = self.eye(side)
            eyes.append(marks.eye * [side, 1] @ stretch.T + [spot, portrait_face.EYE_Y])
            brows.append(marks.brow * [side, 1] + np.array([side * portrait_face.EYE_X, 0]))
        flat = [*eyes, *brows, marks.nose[None], marks.mouth, marks.jaw, marks.hairline[None]]
        # A pixel's centre is at .0 here and at .5 for the landmarks.
        return (self.place(self.fitted(np.concatenate(flat))) + 0.5) / self.side


def sample(image: np.ndarray, maps: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """A baked map where `remap_from` says; nothing outside of it."""
    return cv2.remap(image, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def remap_from(
    crop: Crop, x: np.ndarray, y: np.ndarray, corner: tuple[float, float], resolution: float
) -> tuple[np.ndarray, np.ndarray]:
    """OpenCV's maps over a crop, from points on its coarse grid.

    Args:
        crop: Part of the canvas.
        x: Points on the baked map, in head units (grid, grid).
        y: The same.
        corner: Head units of the baked map's upper left corner.
        resolution: Its pixels a head unit.
    """
    size = (crop[1].stop - crop[1].start, crop[0].stop - crop[0].start)
    return tuple(
        cv2.resize(np.float32((w - low) * resolution - 0.5), size, interpolation=cv2.INTER_LINEAR)
        for w, low in zip((x, y), corner, strict=True)
    )
