import pytest


@pytest.fixture(autouse=True, scope="session")
def cache_of_its_own(tmp_path_factory):
    """No test finds, or leaves, features in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANIME_KERAS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
