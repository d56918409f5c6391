"""Where files lie: a folder, a zip or a tar, behind one small interface, and nothing is unpacked.

Each has `names`, the visible files as relative POSIX paths in sorted order, `read(name)` and, for
files that may be large, `open(name)`. Any thread may call them, and any process that got the object
by pickling or forking.

Archives come from strangers. A member that points out of the archive (`../`, an absolute path, a
link) is refused even though nothing is written here, because the same archive unpacked by another
program would write there.
"""

import errno
import io
import lzma
import os
import re
import shutil
import stat
import tarfile
import tempfile
import threading
import weakref
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from anime_keras.data.reading import Unreadable

DAMAGES = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError)
BOMB, RATIO = 1 << 30, 200  # bytes unpacked, and times the archive: both of them show no pictures
LARGEST = 1 << 30  # bytes of one file; what is larger is no picture and not worth the memory
TAR_SUFFIXES = (".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")
_CLUTTER = {"__macosx", "thumbs.db", "desktop.ini"}
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def is_visible(name: str) -> bool:
    """Whether no part of a relative path is hidden or put there by an operating system."""
    return not any(part.startswith(".") or part.lower() in _CLUTTER for part in name.split("/"))


class Folder:
    """All visible files under a folder, at any depth.

    Links are followed, but no folder is entered that one is in already.

    Raises:
        ValueError: a folder in it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names = sorted(self._walk(path))

    def _walk(self, top: Path) -> Iterator[str]:
        """The names, one by one: a folder may hold a million, or another a thousand levels down."""
        waiting = [(top, "", frozenset())]
        while waiting:
            folder, prefix, above = waiting.pop()
            try:
                identity = folder.stat().st_dev, folder.stat().st_ino
                if identity in above:
                    continue
                with os.scandir(folder) as entries:
                    for entry in entries:
                        name = prefix + entry.name
                        if not is_visible(entry.name):
                            continue
                        if entry.is_symlink():
                            entry = Path(entry)  # does not fail on a link that leads to itself
                        if entry.is_dir():
                            waiting.append((folder / entry.name, name + "/", above | {identity}))
                        elif entry.is_file() or not os.path.exists(entry):
                            yield name  # a dead link is there to be told of
            except OSError as error:
                raise ValueError(
                    f"The folder {folder} cannot be read: {error.strerror}. "
                    "Give yourself the right to read it (chmod -R u+rX), or move it out of the way."
                ) from None

    def read(self, name: str) -> bytes:
        """The content of a file; raises `Unreadable` where it cannot be had."""
        path = self.path / name
        try:
            if path.stat().st_size > LARGEST:
                raise Unreadable(_too_large(path.stat().st_size))
            return path.read_bytes()
        except OSError as error:
            raise Unreadable(error.strerror or str(error)) from None

    def open(self, name: str) -> BinaryIO:
        """A file to be read bit by bit."""
        return (self.path / name).open("rb")

    def close(self) -> None:
        """Nothing is held open."""


class Zip:
    """The visible files of a zip.

    Raises:
        ValueError: it is damaged, cut short, encrypted, compressed in a way that Python does not
            know, or a member of it points elsewhere.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._forget()
        try:
            members = self._archive().infolist()
        except (zipfile.BadZipFile, OSError, EOFError) as error:
            raise ValueError(_damaged(path, error)) from None
        self._members = {}
        for member in members:
            name = _safe_name(path, member.filename)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise ValueError(_refused(path, member.filename, "is a link"))
            if member.is_dir() or not is_visible(name):
                continue
            if member.flag_bits & 1:
                raise ValueError(
                    f"The archive {path} is encrypted (member {name}). "
                    "Unpack it with its password, and pass the folder."
                )
            if member.compress_type not in _ZIP_METHODS:
                raise ValueError(
                    f"The archive {path} is compressed by method {member.compress_type} (member "
                    f"{name}), which Python cannot read. Unpack it by hand, and pass the folder."
                )
            self._members[name] = member.filename
        self.names = sorted(self._members)

    def _archive(self) -> zipfile.ZipFile:
        """The open zip; a forked process shares its parent's file position, so it opens its own."""
        with self._lock:
            if self._process != os.getpid():
                self._open, self._process = zipfile.ZipFile(self.path), os.getpid()
            return self._open

    def read(self, name: str) -> bytes:
        """The content of a file; raises `Unreadable` where it cannot be had."""
        try:
            member = self._archive().getinfo(self._members[name])
            if member.file_size > LARGEST:
                raise Unreadable(_too_large(member.file_size))
            return self._archive().read(member)
        except DAMAGES as error:
            raise Unreadable(f"damaged in the archive: {error}") from None

    def open(self, name: str) -> BinaryIO:
        """A file to be read bit by bit."""
        return self._archive().open(self._members[name])

    def _forget(self) -> None:
        self._open, self._process, self._lock = None, None, threading.Lock()

    def __getstate__(self) -> dict:
        return {k: v for k, v in self.__dict__.items() if k not in ("_open", "_process", "_lock")}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._forget()

    def close(self) -> None:
        """Close the file."""
        if self._process == os.getpid():
            self._open.close()
        self._forget()


class Tar:
    """The visible files of a tar, plain or compressed by gzip, bzip2 or xz.

    A compressed tar can only be read from its start to its end. Its files are therefore copied, one
    after the other, into one temporary file, which goes with `close` or with the process.

    Raises:
        ValueError: it is damaged or cut short, or a member of it points elsewhere.
        OSError: there is no space for the temporary file.
    """

    def __init__(self, path: Path) -> None:
        self.path = self._store = path
        self._places: dict[str, tuple[int, int]] = {}
        self._remove = None
        try:
            with path.open("rb") as file:
                compressed = file.read(3) in (b"\x1f\x8b\x08", b"BZh", b"\xfd7z")
            if compressed:
                handle, store = tempfile.mkstemp(prefix="anime_keras_")
                self._store = Path(store)
                self._remove = weakref.finalize(self, _unlink, self._store, os.getpid())
                with open(handle, "wb") as copy:
                    self._index(copy)
            else:
                self._index(None)
        except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
            self.close()
            raise ValueError(_damaged(path, error)) from None
        except OSError as error:
            self.close()
            if error.errno == errno.ENOSPC:
                raise OSError(
                    f"There is no space in {tempfile.gettempdir()} to read {path}. Free some, set "
                    "TMPDIR to a folder that has it, or unpack the archive and pass the folder."
                ) from None
            raise ValueError(_damaged(path, error)) from None
        except BaseException:
            self.close()
            raise
        self.names = sorted(self._places)

    def _index(self, copy: BinaryIO | None) -> None:
        packed = self.path.stat().st_size
        with tarfile.open(self.path) as archive:
            for member in archive:
                name = _safe_name(self.path, member.name)
                if not (member.isdir() or member.isfile()) or member.issparse():
                    why = "is a link, a device or a sparse file"
                    raise ValueError(_refused(self.path, member.name, why))
                if member.isdir() or not is_visible(name):
                    continue
                self._places[name] = (copy.tell() if copy else member.offset_data, member.size)

                if copy and copy.tell() + member.size > max(BOMB, RATIO * packed):
                    raise ValueError(
                        f"The archive {self.path} is refused: it unpacks to more than {RATIO} times "
                        "its size, which no pictures do. If they are what you think, unpack them by "
                        "hand, and pass the folder."
                    )
                if copy and member.size <= LARGEST:  # `read` refuses what is larger
                    shutil.copyfileobj(archive.extractfile(member), copy)
            # tarfile takes a damaged header for the end; the true end is a block of zeros.
            archive.fileobj.seek(archive.offset)
            end = archive.fileobj.read(tarfile.BLOCKSIZE)
            if not end or end.strip(b"\0"):
                raise tarfile.ReadError("it does not end as a tar ends")

    def read(self, name: str) -> bytes:
        """The content of a file; raises `Unreadable` where it cannot be had."""
        place, size = self._places[name]
        if size > LARGEST:
            raise Unreadable(_too_large(size))
        try:
            with self._store.open("rb") as file:
                file.seek(place)
                return file.read(size)
        except OSError as error:
            raise Unreadable(error.strerror or str(error)) from None

    def open(self, name: str) -> BinaryIO:
        """A file to be read bit by bit."""
        return io.BytesIO(self.read(name))

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_remove": None}  # the temporary file goes with the first owner

    def close(self) -> None:
        """Remove the temporary file, where there is one."""
        if self._remove:
            self._remove()


def is_tar(path: Path) -> bool:
    """Whether a file is a tar or is called one, so that a damaged one gets the right message."""
    return path.name.lower().endswith(TAR_SUFFIXES) or tarfile.is_tarfile(path)


def is_zip(path: Path) -> bool:
    """Whether a file is a zip or is called one, so that a damaged one gets the right message."""
    with path.open("rb") as file:
        return path.suffix.lower() == ".zip" or file.read(4) == b"PK\x03\x04"


def _unlink(path: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked worker that ends must not take it from the others
        path.unlink(missing_ok=True)


def _safe_name(archive: Path, member: str) -> str:
    """The member's name with "/" between folders, or a ValueError if it leads out of the archive."""
    path = PurePosixPath(member.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", member):
        raise ValueError(_refused(archive, member, "would be unpacked outside of its folder"))
    return str(path)


def _refused(archive: Path, member: str, why: str) -> str:
    return (
        f"The archive {archive} is refused: its member {member!r} {why}. "
        "Make sure that it comes from whom you think. Then unpack its pictures by hand, without "
        "that member, and pass the folder."
    )


def _damaged(archive: Path, error: Exception) -> str:
    return (
        f"The archive {archive} cannot be read: it is damaged, cut short or no archive at all "
        f"({str(error).rstrip('.') or type(error).__name__}). Download it again and compare its size."
    )


def _too_large(size: int) -> str:
    return f"too large a file for a picture: {size / 1e9:.1f} GB"
