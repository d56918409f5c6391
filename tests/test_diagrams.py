"""The diagrams: each picture where it belongs, each loss by its name, each style at its layer."""

import numpy as np
import pytest

from anime_keras import diagrams


def grey(*values, side=8):
    """Pictures of one grey each."""
    return [np.full((side, side, 3), value, "uint8") for value in values]


def shown(figure):
    """The greys of the pictures in a figure, and where their middles are, in inches."""
    (axes,) = figure.axes
    return [
        (int(image.get_array()[0, 0, 0]), (left + right) / 2, (low + high) / 2)
        for image in axes.images
        for left, right, low, high in [image.get_extent()]
    ]


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def overlaps(figure):
    """Pairs of pictures that lie on one another."""
    extents = [image.get_extent() for image in figure.axes[0].images]
    return [
        (one, other)
        for number, one in enumerate(extents)
        for other in extents[:number]
        if one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]
    ]


def test_domains_stand_apart_and_what_is_drawn_between():
    figure = diagrams.domains(grey(1, 2, 3, 4, 5), grey(50)[0], grey(101, 102), grey(150)[0])
    x = {value: across for value, across, _ in shown(figure)}
    assert sorted(x) == [1, 2, 3, 4, 50, 101, 102, 150]
    assert max(x[v] for v in (1, 2, 3, 4)) < min(x[50], x[150])
    assert max(x[50], x[150]) < min(x[101], x[102])
    words = texts(figure)
    assert {"$G$", "$F$", "$D_X$", "$D_Y$", "$G(x)$", "$F(y)$"} <= {*words}
    assert words.count("real?") == words.count("fake?") == 2
    assert not overlaps(figure)


@pytest.mark.parametrize("draw", [diagrams.framework, diagrams.cycles])
def test_paths_are_read_from_left_to_right(draw):
    figure = draw(grey(10, 20, 30), grey(110, 120, 130))
    places = {value: (across, up) for value, across, up in shown(figure)}
    for path in ((10, 20, 30), (110, 120, 130)):
        across, up = zip(*(places[value] for value in path), strict=True)
        assert list(across) == sorted(across) and len({*up}) == 1
    assert places[10][1] > places[110][1]
    assert {"$G$", "$F$", "$F(G(x))$", "$G(F(y))$"} <= {*texts(figure)}
    assert not overlaps(figure)


def test_framework_judges_what_was_translated():
    words = texts(diagrams.framework(grey(1, 2, 3), grey(4, 5, 6)))
    assert [word for word in words if word.startswith("$D")] == ["$D_Y$", "$D_X$"]
    assert [word for word in words if "cycle loss" in word] == [
        r"cycle loss  $\lambda\,\mathrm{mean}\,|F(G(x))-x|$",
        r"cycle loss  $\lambda\,\mathrm{mean}\,|G(F(y))-y|$",
    ]


def test_cycles_measures_what_is_lost():
    """51 grey levels are 0.4 of the range [-1, 1]; white means none."""
    figure = diagrams.cycles(grey(100, 0, 151), grey(100, 0, 100))
    assert "mean 0.40" in texts(figure) and "mean 0.00" in texts(figure)
    shades = [value for value, across, _ in shown(figure) if across > 6]
    assert shades == [round(255 * 0.6), 255]


def test_results_is_a_table():
    rows = {"x": np.stack(grey(1, 2, 3)), "G(x)": np.stack(grey(4, 5, 6))}
    found = shown(diagrams.results(rows))
    assert [value for value, *_ in found] == [1, 2, 3, 4, 5, 6]
    across, up = np.array([place for _, *place in found]).T.reshape(2, 2, 3)
    np.testing.assert_allclose(across[0], across[1])
    assert (np.diff(across) > 0).all() and (up[0] > up[1]).all()
    assert texts(diagrams.results(rows)) == ["x", "G(x)"]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: diagrams.framework(grey(1, 2), grey(1, 2, 3)), "3 pictures, not 2"),
        (lambda: diagrams.cycles(grey(1, 2, 3, 4), grey(1, 2, 3)), "3 pictures, not 4"),
        (
            lambda: diagrams.results({"x": np.zeros((1, 8, 8, 3), "float32")}),
            "not float32",
        ),
        (
            lambda: diagrams.results({"x": np.stack(grey(1, 2)), "y": np.stack(grey(1))}),
            "'y' has 1 pictures, the first 2",
        ),
    ],
)
def test_what_cannot_be_drawn(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


def test_style_based_says_where_a_style_goes_in():
    """Figure 2: every AdaIN has an A beside it at its height, and a B before it."""
    (axes,) = diagrams.style_based().axes
    places = [(text.get_text(), *text.get_position()) for text in axes.texts if text.get_text()]
    normalised = [(x, y) for name, x, y in places if name == "AdaIN"]
    styles = [(x, y) for name, x, y in places if name == "A"]
    noises = [(x, y) for name, x, y in places if name == "B"]
    assert len(normalised) == len(styles) == len(noises) == 3
    assert [y for _, y in styles] == [y for _, y in normalised]
    assert all(noise[1] > layer[1] for noise, layer in zip(noises, normalised, strict=True))
    names = [name for name, *_ in places]
    assert names.count("latents $z$") == 2 and "constant 4x4" in names and "style $w$" in names
