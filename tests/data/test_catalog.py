"""The cards of the public collections, and downloads that fail with a plain sentence."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from anime_keras.data import catalog, sources
from anime_keras.data.catalog import CATALOG
from anime_keras.data.layouts import LAYOUTS

DATASETS = Path(__file__).parents[2] / "datasets"
HOSTS = [
    ("kaggle", "kagglehub", "dataset_download", "https://www.kaggle.com/datasets/owner/name"),
    ("hf", "huggingface_hub", "snapshot_download", "https://huggingface.co/datasets/owner/name"),
]


def test_every_entry_has_a_card_and_every_card_an_entry():
    cards = {path.parent.name for path in DATASETS.glob("*/README.md")}
    assert cards == set(CATALOG)
    assert all(name == card.name for name, card in CATALOG.items())


@pytest.mark.parametrize("card", CATALOG.values(), ids=lambda card: card.name)
def test_entry_and_card_agree(card):
    text = (DATASETS / card.name / "README.md").read_text(encoding="utf-8")
    table = (DATASETS / "README.md").read_text(encoding="utf-8")
    assert f"[{card.name}]({card.name}/README.md)" in table
    assert card.layout in LAYOUTS
    assert all((card.title, card.url, card.licence, card.consent, card.size, card.how))
    if card.name == "rendered":
        return
    assert card.url in text
    assert "python -m anime_keras data prepare" in text
    for part in (
        "**What.**",
        "**Licence and consent.**",
        "**Layout.**",
        "**Size.**",
        "**Biases.**",
    ):
        assert part in text
    if card.address:
        assert f"data prepare {card.address} " in text
        assert card.url.endswith(card.address.removeprefix("kaggle:"))
    if card.pictures < 1_000_000 and card.name != "selfie2anime":
        assert f"{card.pictures:,}" in text and f"{card.pictures:,}" in table


def test_unknown_licences_are_not_made_up():
    for name in ("animefacedataset", "anime-faces", "selfie2anime", "ntu-tagged"):
        assert CATALOG[name].licence.startswith("unknown to us")


@pytest.mark.parametrize(("host", "module", "function", "page"), HOSTS)
class TestDownload:
    def test_calls(self, tmp_path, monkeypatch, host, module, function, page):
        calls = []

        def download(*args, **options):
            calls.append((args, options))
            return str(tmp_path)

        monkeypatch.setitem(sys.modules, module, SimpleNamespace(**{function: download}))
        assert catalog.download(f"{host}:owner/name") == tmp_path
        assert calls == [(("owner/name",), {"repo_type": "dataset"} if host == "hf" else {})]

    def test_package_is_missing(self, monkeypatch, host, module, function, page):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ValueError) as caught:
            catalog.download(f"{host}:owner/name")
        assert str(caught.value) == (
            f"Downloading needs the package {module}. Run: pip install {module}. Or download by hand "
            f"from {page} in the browser, and pass the folder or the zip."
        )

    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (
                ConnectionError("Failed to resolve the host.\nlong trace"),
                "Failed to resolve the host",
            ),
            (PermissionError("401 Client Error"), "401 Client Error"),
            (RuntimeError(), "RuntimeError"),
        ],
    )
    def test_failure(self, monkeypatch, host, module, function, page, error, reason):
        def download(*args, **options):
            raise error

        monkeypatch.setitem(sys.modules, module, SimpleNamespace(**{function: download}))
        with pytest.raises(ValueError) as caught:
            sources.open_source(f"{host}:owner/name")
        message = str(caught.value)
        assert f"failed: {reason}. Is there a network" in message and "\n" not in message
        assert message.endswith(
            f"by hand from {page} in the browser, and pass the folder or the zip."
        )

    def test_is_opened(self, tmp_path, monkeypatch, host, module, function, page):
        (tmp_path / "a.png").write_bytes(b"")
        fake = SimpleNamespace(**{function: lambda *args, **options: str(tmp_path)})
        monkeypatch.setitem(sys.modules, module, fake)
        source = sources.open_source(f"{host}:owner/name")
        assert (source.name, source.card, len(source.items)) == (f"{host}:owner/name", None, 1)

    def test_wrong_address(self, host, module, function, page):
        for name in ("", "name", "owner/", "owner/name/more", "../name x"):
            with pytest.raises(ValueError, match=r"is no address of a collection\. Write kaggle:"):
                catalog.download(f"{host}:{name}")


def test_a_known_collection_keeps_its_card(tmp_path, monkeypatch):
    """Whatever the downloaded files are called."""
    (tmp_path / "a.png").write_bytes(b"")
    fake = SimpleNamespace(dataset_download=lambda name: str(tmp_path))
    monkeypatch.setitem(sys.modules, "kagglehub", fake)
    source = sources.open_source("kaggle:soumikrakshit/anime-faces")
    assert source.card is CATALOG["anime-faces"]
