"""Run the tests with the oldest, or the newest, packages that the kit admits: make test-versions.

    python3.11 tests/versions.py oldest
    python3.13 tests/versions.py newest tests/test_losses.py -k hinge     # more goes to pytest

"oldest" is the lowest release of every requirement that has a lower bound (`keras>=3.10` is
`keras==3.10.*`), "newest" whatever pip finds today. Each has an environment of its own, which stays
(.venv-oldest-3.11, for instance). No test itself, and not in CI: it downloads half a gigabyte a turn.
"""

import re
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "requirements-cpu.txt"


def lowest(requirements: str) -> list[str]:
    """Constraints that hold each requirement at the release that its lower bound names."""
    bounds = re.findall(r"^([\w-]+)(?:\[[\w,-]+\])?>=([\d.]+)", requirements, re.M)
    return [f"{name}=={version}.*" for name, version in bounds]


def main() -> int:
    """Make the environment, where it is not there yet, and run pytest in it."""
    which, *rest = sys.argv[1:] or [""]
    if which not in ("oldest", "newest"):
        print(__doc__)
        return 2
    place = ROOT / f".venv-{which}-{sys.version_info[0]}.{sys.version_info[1]}"
    python = place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not (place / ".ready").exists():
        venv.create(place, with_pip=True)
        limits = []
        if which == "oldest":
            (place / "oldest.txt").write_text(
                "\n".join(lowest(REQUIREMENTS.read_text("utf-8"))) + "\n"
            )
            limits = ["-c", str(place / "oldest.txt")]
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "-r", str(REQUIREMENTS), *limits], check=True)
        subprocess.run([*install, "--no-deps", "-e", str(ROOT)], check=True)
        (place / ".ready").touch()
    versions = "import sys, keras, tensorflow; print('Python', *sys.version_info[:2], 'Keras', "
    versions += "keras.__version__, 'TensorFlow', tensorflow.__version__, flush=True)"
    subprocess.run([str(python), "-c", versions], check=True, cwd=ROOT, stderr=subprocess.DEVNULL)
    return subprocess.run([str(python), "-m", "pytest", *rest], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
