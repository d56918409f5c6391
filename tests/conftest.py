"""What tests of several rooms need: a cache of their own, and a browser for pages."""

import os
import shutil

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture(autouse=True, scope="session")
def cache_of_its_own(tmp_path_factory):
    """No test finds, or leaves, features in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANIME_KERAS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def chromium():
    """A headless Chromium; ANIME_KERAS_CHROMIUM names one in an unusual place."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    named = os.environ.get("ANIME_KERAS_CHROMIUM")
    path = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("there is no Chromium: install one, or name it in ANIME_KERAS_CHROMIUM")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(autouse=True, scope="module")
def float32_to_begin_with():
    """No file of tests finds the dtype policy that another one left, whichever ran before it."""
    import keras

    keras.config.set_dtype_policy("float32")
