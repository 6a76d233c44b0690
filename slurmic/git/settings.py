"""What git's configuration and index say of ignore files.

The configuration is needed before the walk, and waiting for a process to say that nothing is set
would be a good part of the time that a selection takes. So the files that git reads are searched
for the names of the settings first; only if one of them comes up, or git's environment sets
something, git is asked what it makes of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .asking import Git
from .repository import Repository

_SETTINGS: Final = (b"excludesfile", b"ignorecase", b"[include")


@dataclass(frozen=True)
class GitSettings:
    """The settings of git that decide what is ignored.

    Attributes:
        excludes_file: core.excludesFile or its default; None if it is set to nothing. It need not
            exist.
        fold: core.ignoreCase.
    """

    excludes_file: bytes | None
    fold: bool = False


def git_settings(git: Git, repository: Repository) -> GitSettings:
    """The settings as git reads them; the defaults if it does not answer (see its `problem`)."""
    excludes_file, fold = _default_excludes_file(git.environ), False
    if _may_be_set(git.environ, repository):
        pattern = r"^core\.(excludesfile|ignorecase)$"
        asked = git.start("config", "-z", "--get-regexp", pattern)
        for item in (git.answer(asked, fine=(0, 1)) or b"").split(b"\0")[:-1]:
            key, has_value, value = item.partition(b"\n")
            if key == b"core.excludesfile":
                excludes_file = _expanded(git, repository, value)
            elif key == b"core.ignorecase":
                fold = not has_value or _is_true(value)
    return GitSettings(excludes_file, fold)


def _may_be_set(environ: Mapping[str, str], repository: Repository) -> bool:
    """Whether git's configuration may say anything about the settings that matter."""
    if "GIT_CONFIG_COUNT" in environ or "GIT_CONFIG_PARAMETERS" in environ:
        return True
    for path in _configuration_files(environ, repository):
        try:
            with open(path, "rb") as file:
                content = file.read().lower()
        except OSError:
            continue
        if any(setting in content for setting in _SETTINGS):
            return True
    return False


def hidden_ignore_files(git: Git, repository: Repository) -> dict[bytes, bytes]:
    """The .gitignore files that git reads from its index, by their paths from the top.

    These are files that a sparse checkout leaves out of the working tree. git looks into the
    index only for those that it cannot open there.
    """
    if not repository.may_skip_files:
        return {}
    top = repository.top
    listing = git.start("ls-files", "-t", "-s", "-z", "--", ":(top,glob)**/.gitignore", at=top)
    objects: dict[bytes, bytes] = {}
    for entry in (git.answer(listing) or b"").split(b"\0")[:-1]:
        fields, _, path = entry.partition(b"\t")
        tag, _, objects[path], _ = fields.split(b" ")
        if tag != b"S":
            del objects[path]
    if not objects:
        return {}
    # A partial clone may not have them; git gets them, too, when it is asked what is ignored.
    said = b"\n".join(objects.values())
    asked = git.start("cat-file", "--batch", at=top, said=said, may_fetch=True)
    answer = git.answer(asked) or b""
    contents: dict[bytes, bytes] = {}
    for path in objects:
        head, _, answer = answer.partition(b"\n")
        if head.split(b" ")[1:2] == [b"blob"]:
            size = int(head.split(b" ")[2])
            contents[path], answer = answer[:size], answer[size + 1 :]
    return contents


def _configuration_files(environ: Mapping[str, str], repository: Repository) -> list[bytes]:
    """All files that git may read configuration from, but for those that they include."""
    if "GIT_CONFIG_SYSTEM" in environ:
        files = [environ["GIT_CONFIG_SYSTEM"]]
    else:
        import shutil

        files = ["/etc/gitconfig"]
        git = shutil.which("git", path=environ.get("PATH"))
        if git is not None:
            # Where git's Makefile puts it for any prefix but /usr: conda, modules, spack.
            prefix = os.path.dirname(os.path.dirname(os.path.realpath(git)))
            files.append(os.path.join(prefix, "etc", "gitconfig"))
    if "GIT_CONFIG_GLOBAL" in environ:
        files.append(environ["GIT_CONFIG_GLOBAL"])
    else:
        files.append(os.path.join(environ.get("HOME", "/"), ".gitconfig"))
        files.append(os.path.join(_user_folder(environ), "config"))
    return [
        *(os.fsencode(file) for file in files),
        os.path.join(repository.common, b"config"),
        os.path.join(repository.directory, b"config.worktree"),
    ]


def _user_folder(environ: Mapping[str, str]) -> str:
    configured = environ.get("XDG_CONFIG_HOME")
    home = environ.get("HOME", "/")
    return os.path.join(configured or os.path.join(home, ".config"), "git")


def _default_excludes_file(environ: Mapping[str, str]) -> bytes | None:
    if not environ.get("XDG_CONFIG_HOME") and not environ.get("HOME"):
        return None
    return os.fsencode(os.path.join(_user_folder(environ), "ignore"))


def _expanded(git: Git, repository: Repository, value: bytes) -> bytes | None:
    """The path that core.excludesFile names."""
    if value.startswith((b"~", b"%", b":")):
        asked = git.start("config", "-z", "--type=path", "--get", "core.excludesfile")
        value = (git.answer(asked, fine=(0, 1)) or b"").removesuffix(b"\0")
    return os.path.join(repository.top, value) if value else None


def _is_true(value: bytes) -> bool:
    """Whether git takes a value for true (config.c); one that it refuses is not."""
    word = value.strip().lower()
    if word in (b"true", b"yes", b"on"):
        return True
    number = re.fullmatch(rb"[+-]?(0x[0-9a-f]+|[0-9]+)[kmg]?", word)
    return number is not None and number[1].strip(b"0x") != b""
