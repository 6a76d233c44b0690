"""Python environments in the source tree, which are packed only by mistake.

An environment is a folder with a ``pyvenv.cfg`` (venv, virtualenv, uv) or a ``conda-meta``
(conda, mamba, pixi). One that was made in code_root itself has its files beside the project's, and
only its libraries can be told apart, by their folders.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from slurmic.selection.paths import count_below, range_below

ENVIRONMENT_FILE: Final = b"pyvenv.cfg"
ENVIRONMENT_FOLDER: Final = b"conda-meta"

#: How the paths of folders begin that belong to an environment and never to a project.
_LIBRARIES: Final = (b"include/python", b"lib/pypy", b"lib/python", b"lib64/python")


@dataclass(frozen=True)
class Environments:
    """The environments that files are packed from.

    Attributes:
        folders: relative to code_root, sorted; none is in another. If code_root itself is an
            environment, the folders in it that belong to the environment.
        root: whether any of them are such folders.
    """

    folders: tuple[bytes, ...]
    root: bool

    @classmethod
    def among(cls, directories: Iterable[bytes], paths: Sequence[bytes]) -> Environments:
        """Those of `directories` that any of the sorted `paths` are in."""
        found = set(directories)
        own: set[bytes] = set()
        if b"" in found:
            found.remove(b"")
            own = {ENVIRONMENT_FOLDER}
            own.update(folder for start in _LIBRARIES for folder in _folders(paths, start))
        topmost: list[bytes] = []
        for folder in sorted(found | own):  # what holds another comes before it
            inner = folder.startswith(tuple(above + b"/" for above in topmost))
            if not inner and count_below(paths, folder):
                topmost.append(folder)
        return cls(tuple(topmost), not own.isdisjoint(topmost))


def _folders(paths: Sequence[bytes], start: bytes) -> Iterator[bytes]:
    """The folders of the sorted `paths` that begin with `start`, which ends within a name."""
    index = bisect_left(paths, start)
    while index < len(paths) and paths[index].startswith(start):
        name, slash, _ = paths[index][len(start) :].partition(b"/")
        if slash:
            yield start + name
            index = range_below(paths, start + name)[1]
        else:
            index += 1
