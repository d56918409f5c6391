"""What the documentation links to exists; the paper's table is complete and honest."""

import importlib
import inspect
import re
import tomllib
import types
from pathlib import Path

import pytest

import anime_keras
from anime_keras import notebooks

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for path in [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "datasets").rglob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
        *(ROOT / "anime_keras").rglob("*.md"),
        *(ROOT / "notebooks").glob("*.ipynb"),
    ]
)
PAPER = ROOT / "docs" / "paper.md"
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
PICTURE = re.compile(r"!\[[^\]]*\]\(([^()\s]+)\)")


def prose(path):
    """A page's text, or that of a notebook's markdown cells, without code."""
    if path.suffix == ".ipynb":
        cells = notebooks.read(path)["cells"]
        text = "\n\n".join(notebooks.text(c) for c in cells if c["cell_type"] == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def anchors(path):
    """Where a link can point to within a page: GitHub's names of its headings."""
    headings = re.findall(r"^#+ +(.+?)\s*$", prose(path), re.M)
    words = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", word.lower()).replace(" ", "-") for word in words}


def dead(path):
    """Relative links and pictures of a page that lead nowhere."""
    text = prose(path)
    found = []
    for target in [*(target for _, target in LINK.findall(text)), *PICTURE.findall(text)]:
        if re.match(r"(https?|data|mailto):", target):
            continue
        place, _, anchor = target.partition("#")
        file = (path.parent / place).resolve() if place else path
        if not file.exists() or (anchor and anchor not in anchors(file)):
            found.append(target)
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(path):
    assert dead(path) == []


def test_a_dead_link_is_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# One: a heading\n\n[a](page.md) [b](#one-a-heading) [c](page.md#two) [d](gone.md) ![](no.png)"
        "\n\n```\n[e](code.md)\n```\n[f](https://example.org/none)\n",
        encoding="utf-8",
    )
    assert dead(page) == ["page.md#two", "gone.md", "no.png"]


# --- the paper's table ----------------------------------------------------------------------------


def rows():
    """Each row of the paper's tables, as its cells."""
    lines = PAPER.read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return [row for row in cells if row[0] != "The paper names"]


def test_the_table_has_four_columns_throughout():
    assert {len(row) for row in rows()} == {4}
    assert len(rows()) > 80


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:40])
def test_a_row_links_to_what_the_kit_has_or_says_that_it_has_not(row):
    _, kit, measured, source = row
    links = LINK.findall(kit)
    assert links or kit == "–" or "not yet" in kit, "say where it is, or that it is not there"
    if kit == "not yet":
        assert measured == "–", "what is not there was not measured"
    assert kit != "–" or source, "say why there is nothing to have"
    for words, target in links:
        assert (PAPER.parent / target).exists()
        if named := re.fullmatch(r"`([a-z][\w.]+)`", words) if target.endswith(".py") else None:
            assert resolves(named[1], PAPER.parent / target), f"{target} has no {named[1]}"


def resolves(name, file):
    """Whether a dotted name under anime_keras exists, and is defined in a file."""
    found = anime_keras
    path = name.split(".")
    for i, part in enumerate(path):
        try:
            found = getattr(found, part)
        except AttributeError:
            try:
                found = importlib.import_module(".".join(["anime_keras", *path[: i + 1]]))
            except ImportError:
                return False
    if isinstance(found, types.ModuleType | types.FunctionType | type):
        return Path(inspect.getsourcefile(found)).resolve() == file.resolve()
    return re.search(rf"^{path[-1]}\b", file.read_text(encoding="utf-8"), re.M) is not None


def test_a_name_that_is_not_there_does_not_resolve():
    assert resolves("losses.verdict", ROOT / "anime_keras" / "losses.py")
    assert not resolves("losses.nonsense", ROOT / "anime_keras" / "losses.py")
    assert not resolves("losses.verdict", ROOT / "anime_keras" / "lab.py")


@pytest.mark.parametrize(
    "section",
    [
        "Abstract",
        "1:",
        "2.1",
        "2.2",
        "2.4",
        "2.5",
        "2.5.2",
        "2.5.3",
        "2.5.4",
        "2.5.5",
        "3.1",
        "3.2",
        "3.2.1",
        "3.2.2",
        "3.2.3",
        "3.2.4",
        "4",
    ],
)
def test_every_section_of_the_paper_is_there(section):
    headings = re.findall(r"^## .*", PAPER.read_text(encoding="utf-8"), re.M)
    assert any(re.search(rf"(?<![\d.]){re.escape(section)}(?![\d.]\d)", line) for line in headings)


# --- the site -------------------------------------------------------------------------------------


def test_the_sites_modules_are_there():
    """Those that docs/hooks.py names; to run it, packages are needed that are not here."""
    text = (ROOT / "docs" / "hooks.py").read_text(encoding="utf-8")
    named = re.findall(r'MODULES \+= \[\s*f"(\w+)\.\{name\}"\s*for name in \(([^)]*)\)', text)
    assert {package for package, _ in named} == {"data", "survey", "export"}
    for package, names in named:
        for name in re.findall(r'"(\w+)"', names):
            assert (ROOT / "anime_keras" / package / f"{name}.py").is_file()


# --- one address ----------------------------------------------------------------------------------


def test_there_is_one_address():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["urls"]["Homepage"] == anime_keras.ADDRESS
    owner = anime_keras.ADDRESS.removeprefix("https://github.com/").partition("/")[0]
    for path in PAGES:
        for address in re.findall(rf"https://github\.com/{owner}/[\w-]+", prose(path)):
            assert address == anime_keras.ADDRESS
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert re.search(r"^repo_url: (.*)$", site, re.M)[1] == anime_keras.ADDRESS
    for name in ("git clone", "git+"):
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        assert re.search(rf"{re.escape(name)} ?{re.escape(anime_keras.ADDRESS)}\b", readme)


@pytest.mark.parametrize("address", ["https://github.com/somebody/a-fork"])
def test_badges_and_set_up_follow_the_address(address):
    first, second = notebooks.title("# A", "01_a.ipynb", address), notebooks.set_up(address)
    assert f'PROJECT = "{address}"' in second
    assert (
        "(https://colab.research.google.com/github/somebody/a-fork/blob/main/notebooks/01_a.ipynb)"
        in first
    )
    assert f"(https://kaggle.com/kernels/welcome?src={address}/blob/main/notebooks/01_a.ipynb)" in (
        first
    )
    assert anime_keras.ADDRESS not in first + second
