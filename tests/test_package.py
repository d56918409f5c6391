"""The package as a whole: quiet, quick to import, documented, and its requirements in order."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import anime_keras

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "anime_keras").rglob("*.py"))


def python(code):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )


def test_drawing_faces_does_not_wait_for_tensorflow():
    done = python(
        "import sys\n"
        "from anime_keras import data, latents, plots\n"
        "import anime_keras.cli, anime_keras.data.folders, anime_keras.data.pipelines\n"
        "data.render(1, size=32)\n"
        "print(sorted({'tensorflow', 'keras', 'torch', 'jax', 'matplotlib'} & set(sys.modules)))"
    )
    assert (done.stdout, done.stderr, done.returncode) == ("[]\n", "", 0)


def test_asking_whether_tensorflow_is_there_keeps_it_quiet():
    done = python(
        "import importlib.util, anime_keras\n"
        "print(importlib.util.find_spec('tensorflow').name)\n"
        "import tensorflow"
    )
    assert (done.stdout, done.stderr, done.returncode) == ("tensorflow\n", "", 0)


def test_tensorflow_is_imported_quietly():
    done = python(
        "import anime_keras\n"
        "from anime_keras import models\n"
        "import tensorflow as tf\n"
        "print(int(tf.constant(1) + 1), tf.__spec__.name, tf.keras.__name__ != '')"
    )
    assert (done.stdout, done.stderr, done.returncode) == ("2 tensorflow True\n", "", 0)


def test_gpu_memory_is_taken_as_needed_unless_somebody_says_otherwise(monkeypatch):
    names = ("TF_FORCE_GPU_ALLOW_GROWTH", "XLA_PYTHON_CLIENT_PREALLOCATE")
    code = f"import os, anime_keras\nprint([os.environ[name] for name in {names}])"
    for name in names:
        monkeypatch.delenv(name, raising=False)
    assert python(code).stdout == "['true', 'false']\n"
    monkeypatch.setenv(names[1], "true")
    assert python(code).stdout == "['true', 'true']\n"


def test_submodules_are_there_when_asked_for():
    assert {"data", "losses", "models", "tfgan", "training"} <= set(dir(anime_keras))
    for name in anime_keras._SUBMODULES:
        assert getattr(anime_keras, name).__name__ == f"anime_keras.{name}"
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        anime_keras.nonsense  # noqa: B018


def functions(tree):
    """Every public function and method of a module, with its name; and every class."""
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        if node.name.startswith("_"):
            continue
        yield node.name, node
        if isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.{name}", inner) for name, inner in functions(node))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_documented_and_annotated(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "the module has no docstring"
    lacking = []
    for name, node in functions(tree):
        # Keras' own hooks say what they are by their names.
        hook = re.fullmatch(r".*\.on_(train|epoch|train_batch)_(begin|end)", name)
        if not ast.get_docstring(node) and not hook:
            lacking.append(f"{name}: docstring")
        if isinstance(node, ast.FunctionDef):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            for argument in arguments:
                if argument.arg not in ("self", "cls") and argument.annotation is None:
                    lacking.append(f"{name}: annotation of {argument.arg}")
            if node.returns is None:
                lacking.append(f"{name}: annotation of what it returns")
    assert lacking == []


# --- requirements ---------------------------------------------------------------------------------


def requirements(name):
    lines = [line.split(" #")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def pinned():
    pins = {}
    for requirement in requirements("constraints.txt"):
        (specifier,) = requirement.specifier
        assert specifier.operator == "=="
        pins[canonicalize_name(requirement.name)] = Version(specifier.version)
    return pins


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-cpu.txt"])
def test_constraints_cover_the_requirements(name):
    pins = pinned()
    for requirement in requirements(name):
        package = canonicalize_name(requirement.name)
        assert package in pins, f"constraints.txt pins no {package}"
        assert pins[package] in requirement.specifier, f"{package} {pins[package]}"
        bounds = {specifier.operator for specifier in requirement.specifier}
        assert bounds == {">=", "<"}, f"{package} needs a lower and an upper bound"


def test_both_requirements_name_the_same():
    """But for TensorFlow's CUDA and OpenCV's windows; with the same bounds."""
    gpu, cpu = (
        {
            canonicalize_name(r.name).removesuffix("-headless"): str(r.specifier)
            for r in requirements(name)
        }
        for name in ("requirements.txt", "requirements-cpu.txt")
    )
    assert gpu == cpu
    everywhere = [r for r in requirements("requirements.txt") if r.name == "tensorflow"]
    assert [r.extras for r in everywhere] == [{"and-cuda"}, set()]


def test_pyproject_asks_for_nothing_else():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    cpu = {r.name: r.specifier for r in requirements("requirements-cpu.txt")}
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    for line in [*project["dependencies"], *extras]:
        requirement = Requirement(line)
        if requirement.name == "torch":  # only `make test-backends` installs it
            assert f'"{line}"' in (ROOT / "Makefile").read_text()
            continue
        assert requirement.specifier == cpu[requirement.name], requirement.name
    assert project["version"] == anime_keras.__version__


def test_this_environment_is_within_the_bounds():
    from importlib.metadata import PackageNotFoundError, version

    for requirement in requirements("requirements-cpu.txt"):
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            continue
        assert Version(installed) in requirement.specifier, f"{requirement.name} {installed}"
