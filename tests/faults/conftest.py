"""Disks that are full or may not be written, for real: Linux mounts them in memory, if one may."""

import subprocess

import pytest


@pytest.fixture
def disk(tmp_path):
    """A function that mounts a disk of some size at a folder of its own; again, it changes the size."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = False

    def mount(kilobytes, read_only=False):
        nonlocal mounted
        options = f"{'remount,' * mounted}size={kilobytes}k,{'ro' if read_only else 'rw'}"
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(place)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no disk can be mounted here: {error}")
        mounted = True
        return place

    yield mount
    if mounted:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
