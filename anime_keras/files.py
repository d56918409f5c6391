"""Files that appear whole or not at all, and errors that name the file and the remedy."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

_ELSEWHERE = "Choose another place to write to, or give yourself the right to."
_REMEDIES = {
    errno.ENOSPC: "Free some space, and do the same again.",
    errno.EDQUOT: "Free some space, and do the same again.",
    errno.EROFS: _ELSEWHERE,
    errno.EACCES: _ELSEWHERE,
    errno.EPERM: _ELSEWHERE,
    errno.ENOTDIR: "A part of this path is a file: choose another.",
}


class DiskFull(OSError):
    """There is no space left; the message names the file and the remedy."""


@contextlib.contextmanager
def replacing(path: Path, beside: str | None = None) -> Iterator[Path]:
    """A path to write to; what is there in the end takes the place of `path`, all of it or nothing.

    Args:
        path: of the file.
        beside: name to write under, where a library goes by how a name ends.

    Raises:
        DiskFull: there is no space left.
    """
    partial = path.with_name(beside or path.name + ".partial")
    try:
        yield partial
        partial.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        if is_full(error):
            raise DiskFull(
                f"There is no space left to write {path}. Free some, and do the same again."
            ) from error
        raise


def is_full(error: BaseException) -> bool:
    """Whether an error says that a disk has no space left."""
    # TensorFlow writes files by itself, and has the same error for a full disk and a full memory.
    if type(error).__name__ == "ResourceExhaustedError":
        return os.strerror(errno.ENOSPC) in str(error) or os.strerror(errno.EDQUOT) in str(error)
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def told(error: OSError) -> str:
    """What is wrong with which file, and what to do about it; our own errors say it themselves."""
    if error.errno is None or error.strerror != os.strerror(error.errno):
        return error.strerror or str(error)
    what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"{what}. {_REMEDIES.get(error.errno, '')}".rstrip()
