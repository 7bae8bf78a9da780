"""A folder compressed file by file into a folder, and back.

Which name becomes which is a rule that can be turned round: what is compressed gets ``.weft`` behind its
name, whatever is called ``.weft`` already is compressed too, and nothing else changes. So going back,
every ``.weft`` file is decompressed and everything else is copied. A link to a file that gets ``.weft``
gets it as well, in its name and in what it says, and so leads to the same file on both sides.

Nothing is written outside the output: links are made but never followed, and a folder must be a real one.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from codec.cli.failures import UnsupportedEntryError, UsageError
from codec.cli.places import Job, spelled
from codec.names import SMALL, SUFFIX, is_model_name


def plan(root: str, output: str, *, compressing: bool) -> list[Job]:
    """Everything to do for a folder, each folder before what is in it, in the order of names."""
    source, target = Path(root), Path(output)
    if target.resolve().is_relative_to(source.resolve()):
        raise UsageError(f"{output}: lies inside {root}; write elsewhere with -o")
    return list(_plan(source, target, compressing=compressing))


def _plan(root: Path, output: Path, *, compressing: bool) -> Iterator[Job]:
    unreadable: list[OSError] = []
    yield Job("folder", str(root), str(output))
    for name, folders, files in os.walk(root, onerror=unreadable.append):
        folders.sort()
        folder = Path(name)
        place = output / folder.relative_to(root)
        for entry in sorted(folders + files):
            path = folder / entry
            if path.is_symlink():
                yield _link(root, path, place, compressing=compressing)
            elif entry in folders:
                yield Job("folder", spelled(path), spelled(place / entry))
            else:
                yield _file(path, place, compressing=compressing)
    for error in unreadable:
        yield Job("refuse", str(error.filename), "", reason=error)


def _file(path: Path, place: Path, *, compressing: bool) -> Job:
    try:
        found = path.lstat()
    except OSError as error:
        return Job("refuse", spelled(path), "", reason=error)
    if not stat.S_ISREG(found.st_mode):
        return _refused(path, "is neither a file, a folder nor a link; leave it out")
    if not _is_coded(path, found.st_size, compressing=compressing):
        return Job("copy", spelled(path), spelled(place / path.name))
    name = path.name + SUFFIX if compressing else path.name.removesuffix(SUFFIX)
    return Job("code", spelled(path), spelled(place / name)) if name else _refused(path, f"has no name but {SUFFIX}")


def _is_coded(path: Path, size: int, *, compressing: bool) -> bool:
    marked = path.name.endswith(SUFFIX)
    return marked or (compressing and size >= SMALL and is_model_name(path.name))


def _link(root: Path, path: Path, place: Path, *, compressing: bool) -> Job:
    says = os.readlink(path)  # verbatim: a Path would turn ./a into a
    if Path(says).is_absolute():
        return _refused(path, f"is a link to the absolute path {says}; make it relative, or leave it out")
    # As it is spelled, since in the output other folders lie around it; and as the disk resolves it.
    lies = Path(os.path.normpath(path.parent.relative_to(root) / says))
    leads_to = Path(os.path.realpath(path))
    if lies.parts[:1] == (os.pardir,) or not leads_to.is_relative_to(root.resolve()):
        return _refused(path, f"is a link to {says}, outside the folder; put a copy there, or leave it out")
    name = path.name
    if leads_to.is_file() and _is_coded(leads_to, leads_to.stat().st_size, compressing=compressing):
        if compressing:
            name, says = name + SUFFIX, says + SUFFIX
        else:
            name, says = name.removesuffix(SUFFIX) or name, says.removesuffix(SUFFIX)
    return Job("link", spelled(path), spelled(place / name), points_to=says)


def _refused(path: Path, why: str) -> Job:
    return Job("refuse", spelled(path), "", reason=UnsupportedEntryError(f"{path}: {why}"))


def make_folder(target: str) -> None:
    """Make a folder, or be content with one that is there; not with a link to one."""
    path = Path(target)
    try:
        path.mkdir()
    except FileExistsError:
        if path.is_symlink() or not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "expected a folder, found something else", target) from None


def copy_file(source: str, target: str, *, force: bool) -> int:
    """Copy a file with its times and permissions, complete or not at all; return its size in bytes."""
    from codec.storage import AtomicFile  # which loads the compiler

    _check_absent(target, force=force)
    size = 0
    with Path(source).open("rb", buffering=0) as original, AtomicFile(target, force=force) as copy:
        while block := original.read(1 << 20):
            copy.write(block)
            size += len(block)
        shutil.copystat(source, copy.temporary)
    return size


def make_link(target: str, points_to: str, *, force: bool) -> None:
    """Make a link, complete or not at all."""
    _check_absent(target, force=force)
    path = Path(target)
    if path.is_symlink() and os.readlink(path) == points_to:
        return
    # without a temporary name, which a killed run would leave; what was there had to go anyway
    if os.path.lexists(path) and (path.is_symlink() or not path.is_dir()):
        path.unlink()
    path.symlink_to(points_to)


def _check_absent(target: str, *, force: bool) -> None:
    if not force and os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
