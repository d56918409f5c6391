"""The same drawing twice: found although size, crop, tint or expression differ.

Two steps, as in every large copy detection. A perceptual hash of 128 bits finds candidates among
all pairs cheaply; `agreement` then looks at the candidates' lines. Either alone errs: faces that
are cut out alike have similar hashes without being one drawing, and the lines of all pairs would
take hours.

Both thresholds were chosen by eye, on 7,656 faces from web illustrations, 1,700 from animation
stills, 631 portraits and 4,000 drawn faces: see `DISTANCE` and `AGREEMENT`.
"""

import cv2
import numpy as np

DISTANCE = 22
"""Bits of 128 in which the hashes of a drawing and its copy differ at most.

Random pairs differ in 64 on average. Of 7,656 anime faces 135 pairs differ in up to 22 bits, of which
all but three are one drawing; from 24 bits on chance pairs are the majority. But of 4,000 drawn faces
1,611 pairs do, by chance: hence the second look.
"""
AGREEMENT = 0.65
"""Least correlation of the lines of a drawing and its copy.

Of the 135 pairs above 128 reach it, each of them one drawing to the eye, and 4 true ones do not (the
mouth is another, or a fringe covers what is left). Of 4,000 drawn faces, all different people, 14
pairs of 8 million reach it, and 4 of 631 portraits.
"""
_SIDES = (32, 34, 36, 38)  # pixels: a copy may be cropped, and so enlarged, by up to a fifth
_SLACK = 4  # and shifted by up to 4 of 32 pixels


def perceptual_hash(image: np.ndarray) -> np.ndarray:
    """A picture in 128 bits, of which a copy in another size or tint shares nearly all.

    The first half says which of 64 low frequencies are positive (the DCT hash of Zauner 2010, without
    the row and the column that hold mere light and shade); the second whether it gets brighter from
    each of 8 x 8 fields to the next (the difference hash of Krawetz 2013). They err differently: 128
    bits of either kind find fewer copies.

    Args:
        image: uint8 (height, width, 3), RGB.

    Returns:
        uint64 (2,).
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    frequencies = cv2.dct(_shrink(grey, 32, 32).astype(np.float32))[1:9, 1:9]
    fields = _shrink(grey, 9, 8)
    bits = np.concatenate([frequencies > 0, fields[:, 1:] > fields[:, :-1]])
    return np.packbits(bits.ravel()).view(np.uint64)


def distances(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Hamming distances between hashes uint64 (n, 2) and (m, 2): int (n, m) of 0 to 128 bits."""
    differing = np.bitwise_count(hashes[:, None, 0] ^ others[None, :, 0])
    return differing + np.bitwise_count(hashes[:, None, 1] ^ others[None, :, 1])


def candidates(hashes: np.ndarray, distance: int = DISTANCE) -> np.ndarray:
    """All pairs whose hashes differ in at most `distance` bits.

    Every pair is compared, so none is missed: 10,000 pictures take a tenth of a second on one
    core, and ten times as many a hundred times as long.

    Args:
        hashes: uint64 (count, 2).
        distance: bits.

    Returns:
        int (pairs, 2), the smaller index first, in order.
    """
    rows, columns = 128, 1024  # a block of distances stays in the processor's cache
    found = [np.empty((0, 2), np.int64)]
    for top in range(0, len(hashes), rows):
        for left in range(top, len(hashes), columns):
            near = distances(hashes[top : top + rows], hashes[left : left + columns])
            pairs = np.argwhere(near <= distance) + np.array([top, left])
            found.append(pairs[pairs[:, 0] < pairs[:, 1]])
    pairs = np.concatenate(found)
    return pairs[np.lexsort(pairs.T[::-1])]


def lines(image: np.ndarray) -> list[np.ndarray]:
    """What `agreement` compares: a picture's fine structure, without its light and its tint.

    Args:
        image: uint8 (height, width, 3), RGB.

    Returns:
        float32 (32, 32), and the same enlarged to 34, 36 and 38 pixels.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = (_shrink(grey, side, side).astype(np.float32) for side in _SIDES)
    return [picture - cv2.GaussianBlur(picture, (0, 0), 1.5) for picture in small]


def agreement(first: list[np.ndarray], second: list[np.ndarray]) -> float:
    """How well the lines of two pictures agree, at the shift and size at which they agree best.

    Args:
        first: `lines` of a picture.
        second: those of another.

    Returns:
        The correlation in [-1, 1] of the middle 24 x 24 of the one with some part of the other.
    """
    middle = slice(_SLACK, _SIDES[0] - _SLACK)
    return float(
        max(
            cv2.matchTemplate(there, one[0][middle, middle], cv2.TM_CCOEFF_NORMED).max()
            for one, other in ((first, second), (second, first))
            for there in other
        )
    )


def find(
    images: np.ndarray, distance: int = DISTANCE, least_agreement: float = AGREEMENT
) -> np.ndarray:
    """Pairs of pictures that are one drawing.

    Args:
        images: uint8 (count, height, width, 3), RGB.
        distance: bits in which hashes may differ.
        least_agreement: correlation that lines must reach.

    Returns:
        int (pairs, 2), the smaller index first, in order.
    """
    hashes = np.array([perceptual_hash(image) for image in images]).reshape(-1, 2)
    pairs = candidates(hashes, distance)
    same = [agreement(lines(images[i]), lines(images[j])) >= least_agreement for i, j in pairs]
    return pairs[np.array(same, bool)]


def groups(count: int, pairs: np.ndarray) -> np.ndarray:
    """Which pictures hang together, directly or by way of others.

    Args:
        count: how many pictures there are.
        pairs: int (pairs, 2).

    Returns:
        int (count,): the smallest index of each picture's group; its own where it has no copy.
    """
    parent = np.arange(count)

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, j in pairs:
        low, high = sorted((root(i), root(j)))
        parent[high] = low
    return np.array([root(i) for i in range(count)], np.int64)


def originals(count: int, pairs: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Which picture to keep in the place of which: greedily, the first in `order` first.

    A picture gives way only to one that is kept and that it is a pair with. So no two that are kept
    are a pair, and nothing is lost to a long chain of pictures, each a bit like the next.

    Args:
        count: how many pictures there are.
        pairs: int (pairs, 2).
        order: the indices, the best to keep first.

    Returns:
        int (count,): for each picture the index of the one kept, which may be itself.
    """
    near: dict[int, list[int]] = {}
    for i, j in pairs.tolist():
        near.setdefault(i, []).append(j)
        near.setdefault(j, []).append(i)
    kept = np.full(count, -1)
    for i in np.asarray(order).tolist():
        if kept[i] < 0:
            kept[i] = i
            for j in near.get(i, ()):
                if kept[j] < 0:
                    kept[j] = i
    return kept


def _shrink(grey: np.ndarray, width: int, height: int) -> np.ndarray:
    return cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
