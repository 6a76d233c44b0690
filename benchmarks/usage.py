"""What folders take on the disk: inodes counted once, however many names they have."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

_BLOCK = 512
"""Bytes of a unit of st_blocks."""


@dataclass
class Usage:
    """Of some folders and all that is below them.

    Attributes:
        folders: how many there are.
        folder_bytes: that they take themselves.
        names: of files and links, all of them.
        files: bytes that each file or link takes, by device and inode.
        empty: how many of those have no content.
    """

    folders: int = 0
    folder_bytes: int = 0
    names: int = 0
    files: dict[tuple[int, int], int] = field(default_factory=dict)
    empty: int = 0

    @property
    def inodes(self) -> int:
        """All inodes."""
        return self.folders + len(self.files)

    @property
    def filled(self) -> int:
        """Inodes of files that have content."""
        return len(self.files) - self.empty

    @property
    def file_bytes(self) -> int:
        """Bytes that files take."""
        return sum(self.files.values())

    @property
    def bytes(self) -> int:
        """Bytes that everything takes."""
        return self.folder_bytes + self.file_bytes


def disk_usage(*roots: Path) -> Usage:
    """What these folders take together; one that does not exist takes nothing."""
    usage = Usage()
    stack = [os.fspath(root) for root in roots if root.is_dir()]
    for root in stack:
        usage.folder_bytes += os.lstat(root).st_blocks * _BLOCK
    usage.folders = len(stack)
    while stack:
        with os.scandir(stack.pop()) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                taken = status.st_blocks * _BLOCK
                if entry.is_dir(follow_symlinks=False):
                    usage.folders += 1
                    usage.folder_bytes += taken
                    stack.append(entry.path)
                    continue
                usage.names += 1
                key = (status.st_dev, status.st_ino)
                if key not in usage.files:
                    usage.files[key] = taken
                    usage.empty += status.st_size == 0
    return usage
