"""The public collections that this kit knows: where they are from, what they allow, how they lie.

Every card has its longer sister in datasets/NAME/README.md. Counts are the publishers' or those that
public code reports. A licence that we have not read is said to be unknown, and is not guessed. Not
verified on the collections themselves: the patterns of file names by which `detect` knows them, on
which nothing but the card depends.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from anime_keras.data.layouts import LAYOUTS

_UNKNOWN = "unknown to us: read its page before you use it"
_EDUCATION = "unknown to us; the collection that it grew from asks for educational use only"


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a collection.

    Attributes:
        name: its name here, and that of its folder under datasets/.
        title: its name in words.
        url: where it is published.
        licence: in the publisher's words as far as they are known.
        consent: whose pictures they are, and whether anybody asked them.
        layout: how it tells labels, a name of `layouts.LAYOUTS`.
        size: of the pictures, in pixels.
        pictures: how many there are; None where nobody can say.
        how: how to get it, one sentence.
        address: what `download` takes, or None.
        files: pattern of the names (after the source's own and a slash) by which `detect` knows it,
            or None where its layout is enough.
    """

    name: str
    title: str
    url: str
    licence: str
    consent: str
    layout: str
    size: str
    pictures: int | None
    how: str
    address: str | None = None
    files: str | None = None


_DRAWN_BY_OTHERS = "The pictures belong to their artists, who were not asked."
_CARDS = (
    Card(
        name="rendered",
        title="The rendered faces",
        url="datasets/rendered/README.md",
        licence="Apache-2.0, like the code that draws them",
        consent="Nobody is depicted, and nobody's picture was used.",
        layout="labels",
        size="32 to 512",
        pictures=None,
        how="python -m anime_keras data render --count 1000 --size 64 --out faces",
        files=r".*/landmarks\.npz",
    ),
    Card(
        name="animefacedataset",
        title="Anime Face Dataset",
        url="https://www.kaggle.com/datasets/splcher/animefacedataset",
        licence=_EDUCATION,
        consent=_DRAWN_BY_OTHERS,
        layout="folder",
        size="mostly 90 to 120, some far from it",
        pictures=63_632,
        how="Download it from Kaggle, with an account there.",
        address="kaggle:splcher/animefacedataset",
        files=r".*/\d+_(19|20)\d\d\.jpg",
    ),
    Card(
        name="anime-faces",
        title="Anime Faces",
        url="https://www.kaggle.com/datasets/soumikrakshit/anime-faces",
        licence=_EDUCATION,
        consent=_DRAWN_BY_OTHERS,
        layout="folder",
        size="64x64",
        pictures=21_551,
        how="Download it from Kaggle, with an account there.",
        address="kaggle:soumikrakshit/anime-faces",
        files=r".*/data/\d+\.png",
    ),
    Card(
        name="selfie2anime",
        title="selfie2anime",
        url="https://www.kaggle.com/datasets/arnaud58/selfie2anime",
        licence=_UNKNOWN,
        consent="Selfies of people and drawings of artists, who were not asked.",
        layout="two-domains",
        size="256x256",
        pictures=7_000,
        how="Download it from Kaggle, with an account there.",
        address="kaggle:arnaud58/selfie2anime",
        files=r"(.*/)?[^/]*selfie2anime[^/]*/(.*/)?(train|test)[AB]/[^/]+",
    ),
    Card(
        name="ntu-tagged",
        title="Tagged anime faces of a course at National Taiwan University",
        url="https://github.com/m516825/Conditional-GAN",
        licence=_UNKNOWN,
        consent=_DRAWN_BY_OTHERS,
        layout="ntu-tagged",
        size="96x96",
        pictures=33_431,
        how="Look for the link in the course's material or in the code of its students.",
    ),
    Card(
        name="danbooru",
        title="Danbooru20xx",
        url="https://gwern.net/danbooru2021",
        licence="none for the pictures, each of which is its artist's",
        consent=_DRAWN_BY_OTHERS,
        layout="danbooru",
        size="512x512, or as they were posted",
        pictures=4_900_000,
        how="Take a part of it, with its metadata, from a mirror that the page names.",
    ),
    Card(
        name="celeba",
        title="CelebA, faces of celebrities with 40 attributes",
        url="https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        licence="non-commercial research only, no copies passed on (the authors' agreement)",
        consent="Photos of celebrities from the web; neither they nor the photographers were asked.",
        layout="celeba",
        size="178x218 (aligned)",
        pictures=202_599,
        how="Agree on the authors' page, and download img_align_celeba.zip and the two lists.",
    ),
    Card(
        name="utkface",
        title="UTKFace, faces with age, gender and race",
        url="https://susanqq.github.io/UTKFace/",
        licence="non-commercial research only, as far as we know: read its page",
        consent="Photos from the web, of children too; nobody was asked.",
        layout="utkface",
        size="200x200 (aligned and cropped)",
        pictures=23_708,
        how="Follow the link on its page.",
    ),
)

CATALOG: dict[str, Card] = {card.name: card for card in _CARDS}


def detect(source: str, pictures: Sequence[str], others: Sequence[str], layout: str) -> Card | None:
    """The collection that a source seems to be; a guess by its layout and the names in it.

    Args:
        source: the source's own name.
        pictures: names of its pictures.
        others: names of the files beside them.
        layout: what `layouts` found.
    """
    for card in _CARDS:
        if card.layout != layout:
            continue
        if card.files is None:
            return card
        known = re.compile(card.files)
        fitting = sum(bool(known.fullmatch(f"{source}/{name}")) for name in pictures)
        if fitting > 0.9 * len(pictures) or any(known.fullmatch(f"{source}/{n}") for n in others):
            return card
    return None


def by_address(address: str) -> Card | None:
    """The collection that `download` knows by this address."""
    return next((card for card in _CARDS if card.address == address.lower()), None)


def check_layout(name: str) -> None:
    """Raises ValueError where `name` is neither a collection's nor a layout's."""
    known = {*CATALOG, *LAYOUTS}
    if name not in known:
        raise ValueError(f"There is no layout {name!r}. Known are {', '.join(sorted(known))}.")


def is_remote(source: str | Path) -> bool:
    """Whether a source is to be downloaded: kaggle:owner/name or hf:owner/name."""
    return isinstance(source, str) and source.startswith(("kaggle:", "hf:"))


def download(address: str) -> Path:
    """Fetch a collection from Kaggle or from Hugging Face, or find it where it was fetched before.

    Args:
        address: "kaggle:owner/name" or "hf:owner/name".

    Returns:
        The folder that holds it, in the cache of kagglehub or of huggingface_hub.

    Raises:
        ValueError: the address is wrong, the package is missing, or the download failed (no
            network, no account, no such collection). The message says what to do.
    """
    host, _, name = address.partition(":")
    if host not in ("kaggle", "hf") or not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise ValueError(
            f"{address!r} is no address of a collection. Write kaggle:owner/name or hf:owner/name."
        )
    return _from_kaggle(name) if host == "kaggle" else _from_hugging_face(name)


def _from_kaggle(name: str) -> Path:
    page = f"https://www.kaggle.com/datasets/{name}"
    try:
        import kagglehub
    except ImportError:
        raise ValueError(_missing("kagglehub", page)) from None
    try:
        return Path(kagglehub.dataset_download(name))
    except Exception as error:  # whatever its HTTP library raises
        raise ValueError(
            _failed("Kaggle", error, page, "Is there a network, and an API token of your account?")
        ) from None


def _from_hugging_face(name: str) -> Path:
    page = f"https://huggingface.co/datasets/{name}"
    try:
        import huggingface_hub
    except ImportError:
        raise ValueError(_missing("huggingface_hub", page)) from None
    try:
        return Path(huggingface_hub.snapshot_download(name, repo_type="dataset"))
    except Exception as error:  # whatever its HTTP library raises
        raise ValueError(
            _failed("Hugging Face", error, page, "Is there a network, and is the collection open?")
        ) from None


def _missing(package: str, page: str) -> str:
    return (
        f"Downloading needs the package {package}. Run: pip install {package}. Or download by hand "
        f"from {page} in the browser, and pass the folder or the zip."
    )


def _failed(host: str, error: Exception, page: str, question: str) -> str:
    lines = str(error).strip().splitlines()
    reason = lines[0].rstrip(".") if lines else type(error).__name__
    return (
        f"The download from {host} failed: {reason}. {question} Or download by hand from {page} in "
        "the browser, and pass the folder or the zip."
    )
