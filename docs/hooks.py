"""How `mkdocs build` makes one site out of pages that lie where they belong in the repository.

Pages keep their places: README.md is the front, notebooks/02_dcgan.ipynb becomes a page of that name.
So the links that work on GitHub work here; those to code lead to its page in the API, and what is no
page of the site leads to the repository. Notebooks are turned into Markdown here, not by
mkdocs-jupyter: their outputs are text and pictures only, so they can look like the other pages, with
their solutions folded, and need none of the scripts that nbconvert's pages load from elsewhere.
Equations become MathML. So all of the site works from the disk, without a network.
"""

import html
import json
import logging
import posixpath
import re
from pathlib import Path
from typing import Any

import math_core
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
LOG = logging.getLogger("mkdocs.hooks.anime_keras")


def _modules(package: str = "") -> list[str]:
    """All that a package offers to readers, by the names of its files."""
    files = sorted((ROOT / "anime_keras" / package).glob("[a-z]*.py"))
    return [f"{package}.{file.stem}".lstrip(".") for file in files]


MODULES = [*_modules(), *_modules("models"), *_modules("metrics"), *_modules("weights")]
# Of these packages most files are nobody's business but their own.
MODULES += [
    f"data.{name}"
    for name in ("rendering", "scenes", "faces", "prepare", "pipelines", "augmentation", "folders")
]
MODULES += [f"survey.{name}" for name in ("building", "scoring", "planning", "simulation")]
MODULES += [f"export.{name}" for name in ("networks", "formats", "recipe")]


def _tracked(*patterns: str) -> list[str]:
    return sorted(
        path.relative_to(ROOT).as_posix() for pattern in patterns for path in ROOT.glob(pattern)
    )


NOTEBOOKS = _tracked("notebooks/*.ipynb")
PAGES = _tracked(
    "README.md", "docs/*.md", "datasets/**/*.md", "benchmarks/*.md", "anime_keras/**/*.md"
)
PICTURES = _tracked("docs/*.png", "datasets/**/*.png", "datasets/**/*.jpg")


# --- which pages there are ------------------------------------------------------------------------


def on_config(config: Any) -> Any:
    """Arrange the pages; notebooks and modules are listed as they are there."""
    course = [
        {"Teaching": "docs/teaching.md"},
        {"Full scale": "docs/scaling.md"},
        {"The paper, row by row": "docs/paper.md"},
    ]
    packages: dict[str, list] = {}
    for module in MODULES:
        package, _, name = module.rpartition(".")
        packages.setdefault(package, []).append({name: _api_page(module)})
    api: list = packages.pop("")
    api += [{package: pages} for package, pages in packages.items()]
    config["nav"] = [
        {"Home": "README.md"},
        {"Notebooks": [name.replace(".ipynb", ".md") for name in NOTEBOOKS]},
        {"The course": course},
        {"Datasets": [page for page in PAGES if page.startswith("datasets/")]},
        {"Results": ["benchmarks/RESULTS.md", "anime_keras/weights/README.md"]},
        {"API": api},
    ]
    return config


@event_priority(100)
def on_files(files: Files, config: Any) -> Files:
    """The repository's pages at their own places, in place of what lies in docs/ alone."""
    kept = [file for file in files if not (ROOT / "docs" / file.src_uri).exists()]
    for path in [*PAGES, *PICTURES, "docs/site.css", "docs/worker.js"]:
        kept.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    for path in NOTEBOOKS:
        notebook = json.loads((ROOT / path).read_text(encoding="utf-8"))
        page = path.replace(".ipynb", ".md")
        kept.append(File.generated(config, page, content=markdown(notebook)))
    for module in MODULES:
        text = f"---\ntitle: {module}\n---\n\n# anime_keras.{module}\n\n::: anime_keras.{module}\n"
        kept.append(File.generated(config, _api_page(module), content=text))
    return Files(kept)


def _api_page(module: str) -> str:
    return f"api/{module.replace('.', '/')}.md"


# --- notebooks ------------------------------------------------------------------------------------


def markdown(notebook: dict[str, Any]) -> str:
    """An executed notebook as a page; solutions are folded."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(_block_lists(_BADGE.sub(r"[\1](\2){ .md-button }", source)))
            continue
        part = _fence(source, "python") + "".join(map(_output, cell["outputs"]))
        if "solution" in cell["metadata"].get("tags", []):
            part = '??? success "A solution"\n\n' + re.sub(r"^(?=.)", "    ", part, flags=re.M)
        parts.append(part)
    return "\n\n".join(parts)


_BADGE = re.compile(r"\[!\[([^\]]+)\]\(https://img\.shields\.io/[^)]*\)\]\(([^)]+)\)")


def _fence(text: str, language: str) -> str:
    ticks = "`" * max([3, *(len(run) + 1 for run in re.findall(r"`+", text))])
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}\n\n"


def _output(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    if "text/html" in data:
        # A page's block ends at an empty line, so the markup has none.
        markup = re.sub(r"\s*\n\s*", " ", "".join(data["text/html"]))
        return f'<div class="output">{markup}</div>\n\n'
    text = "".join(output.get("text", data.get("text/plain", "")))
    if not text.strip():
        return ""
    text = re.sub(r"\x1b\[[\d;]*m", "", text)
    # Line ends as entities: there may be empty lines in what was printed.
    lines = html.escape(text.rstrip()).replace("\n", "&#10;")
    # Sentences are broken into lines; tables are not.
    kind = "output said" if max(map(len, text.splitlines())) > 100 else "output"
    return f'<div class="{kind}"><pre><code>{lines}</code></pre></div>\n\n'


def _block_lists(text: str) -> str:
    """Python's Markdown wants an empty line before a list, where Jupyter does without."""
    lines: list[str] = []
    fenced = False
    for line in text.split("\n"):
        fenced ^= line.startswith("```")
        item = re.match(r"([*+-]|\d+\.) ", line)
        if item and not fenced and lines and lines[-1].strip():
            before = lines[-1]
            if not re.match(r"\s|([*+-]|\d+\.) |[#|>]", before):
                lines.append("")
        lines.append(line)
    return "\n".join(lines)


# --- links and equations --------------------------------------------------------------------------

_FENCED = re.compile(r"^( *)(`{3,}).*?^\1\2[^\n]*$", re.M | re.S)
_TARGET = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Lead links to notebooks and code to their pages, and to the repository what is not here."""
    if page.file.src_uri == "README.md":
        markdown = markdown.replace("<details>", '<details markdown="1">')
    folder = posixpath.dirname(page.file.src_uri)

    def lead(found: re.Match) -> str:
        place, anchor = found[1], found[2] or ""
        path = posixpath.normpath(posixpath.join(folder, place))
        target = path.replace(".ipynb", ".md")
        if path.startswith("anime_keras/") and path.endswith(".py"):
            module = path.removeprefix("anime_keras/").removesuffix(".py").replace("/", ".")
            target = _api_page(module) if module in MODULES else path
        if files.get_file_from_path(target):
            return posixpath.relpath(target, folder or ".") + anchor
        if not (ROOT / path).exists():
            LOG.warning("%s links to %s, which is not there", page.file.src_uri, place)
        return f"{config['repo_url']}/blob/main/{path}{anchor}"

    pieces, end = [], 0
    for code in _FENCED.finditer(markdown):
        pieces += [_TARGET.sub(lead, markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*pieces, _TARGET.sub(lead, markdown[end:])])


_MATH = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.S)
_CONVERTER = math_core.LatexToMathML()


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """TeX becomes MathML, which browsers draw by themselves."""

    def draw(found: re.Match) -> str:
        tag, kind, tex = found.groups()
        try:
            drawn = _CONVERTER.convert_with_local_state(_plain(tex), displaystyle=kind == "[")
        except math_core.LatexError as error:
            LOG.warning("%s: no equation: %s (%s)", page.file.src_uri, tex, error)
            return found[0]
        return f'<{tag} class="arithmatex">{drawn}</{tag}>'

    html = _MATH.sub(draw, html)
    return _labelled(html) if page.file.src_uri == "docs/paper.md" else html


def _labelled(page: str) -> str:
    """Tables whose cells know their column's name, which they show on a phone; long names may break."""

    def label(table: re.Match) -> str:
        names = iter(re.findall(r"<th>(.*?)</th>", table[0]) * table[0].count("<tr>"))
        cells = re.sub(r"<td>", lambda _: f'<td data-label="{next(names)}">', table[0])
        cells = re.sub(
            r"<code>.*?</code>", lambda code: re.sub(r"(?<=[._])", "<wbr>", code[0]), cells
        )
        return f'<div class="rows">{cells}</div>'

    return re.sub(r"<table>.*?</table>", label, page, flags=re.S)


def _plain(tex: str) -> str:
    return html.unescape(tex).strip()


# --- without a network ----------------------------------------------------------------------------


def _at_home(output: str, up: str) -> str:
    """A page that asks nobody: its script for searching is ours, its stars are not counted."""
    return output.replace("https://unpkg.com/iframe-worker/shim", f"{up}docs/worker.js").replace(
        ' data-md-component="source"', ""
    )


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Ask nobody."""
    return _at_home(output, "../" * page.file.dest_uri.count("/"))


def on_post_template(output: str, **_: Any) -> str:
    """The same for the page that is shown where there is none."""
    return _at_home(output, "")
