"""The peers: what others do so that a job sees the code of its submission, on the same files."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from submitit.helpers import RsyncSnapshot

from .harness import Candidate, Settings
from .trees import SourceTree, install

PUBLISHED = "0.2.1"


def run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> bytes:
    """Run a command; its output. A failure raises, with what it said."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command}: {os.fsdecode(done.stderr + done.stdout)[-2000:]}")
    return done.stdout


def copies(tree: SourceTree, settings: Settings) -> list[Candidate]:
    """Those that make a folder of the files and keep nothing from one time to the next."""

    # Linking a file changes its ctime, as every edit does: slurmic and git would have to read all
    # files again. So cp -al links a copy of them.
    twin = tree.twin(settings.scratch / f"twin-{tree.root.name}")
    found = [cp(twin, "-al"), cp(tree, "-a")]
    found += [*rsync(tree, settings), *published(tree, settings), *rsync_snapshot(tree)]
    return found


def cp(tree: SourceTree, option: str) -> Candidate:
    """cp -a, or cp -al: hard links to the source itself, the floor of what a link farm costs."""

    def copy(path: Path) -> None:
        path.mkdir()
        run("cp", option, "--", *tree.entries, path, cwd=tree.root)

    return Candidate(f"cp {option}", copy)


def cp_and_sync(tree: SourceTree) -> Candidate:
    """cp -a, and wait until the disk has it."""
    copy = cp(tree, "-a")

    def copy_and_sync(path: Path) -> float:
        copy.run(path)
        began = time.perf_counter()
        run("sync", "-f", path)
        return time.perf_counter() - began

    return Candidate("cp -a, sync -f", copy_and_sync)


def rsync(tree: SourceTree, settings: Settings) -> Iterator[Candidate]:
    """rsync -a --link-dest, linking to an earlier copy."""
    if shutil.which("rsync") is None:
        return
    earlier = settings.scratch / f"rsync-earlier-{tree.root.name}"
    options = ("-a", "--exclude=/.git")
    run("rsync", *options, f"{tree.root}/", earlier)
    yield Candidate(
        "rsync --link-dest",
        lambda path: _done(
            run("rsync", *options, f"--link-dest={earlier}", f"{tree.root}/", f"{path}/")
        ),
    )


def published(tree: SourceTree, settings: Settings) -> Iterator[Candidate]:
    """slurmic 0.2.1: what its submission did, with its default settings."""
    try:
        utils = published_utils(settings)
    except subprocess.CalledProcessError as error:
        print(f"slurmic {PUBLISHED} cannot be fetched, so left out: {error}", file=sys.stderr)
        return
    suffixes = [".py", ".sh", ".yaml", ".toml"]
    excluded = [".git", "wandb", "outputs", "datasets"]

    def include(path: str, root: str) -> bool:
        return bool(utils.include_code_files(path, root, suffixes))

    def exclude(path: str, root: str) -> bool:
        return bool(utils.exclude_code_folders(path, root, excluded))

    def pack(path: Path) -> None:
        utils.pack_code_files(str(tree.root), str(path), include_fn=include, exclude_dir_fn=exclude)

    yield Candidate("slurmic 0.2.1", pack, slow=True)


def published_utils(settings: Settings) -> ModuleType:
    """slurmic.utils of the published 0.2.1, under another name.

    The rest of that package is only configuration and submission; this module stands alone.
    """
    folder = settings.cache / f"slurmic-{PUBLISHED}"
    if not folder.exists():
        install((f"slurmic=={PUBLISHED}",), folder)
    spec = importlib.util.spec_from_file_location("slurmic_0_2_1", folder / "slurmic/utils.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rsync_snapshot(tree: SourceTree) -> Iterator[Candidate]:
    """submitit's RsyncSnapshot."""
    if not RsyncSnapshot.available() or shutil.which("git") is None:
        return

    def take(path: Path) -> None:
        with quiet(), RsyncSnapshot(path, root_dir=tree.root):
            pass

    yield Candidate("RsyncSnapshot", take, slow=True)


def git_storing(tree: SourceTree, *, first: bool = False) -> Iterator[Candidate]:
    """git add -A && git write-tree: with the index and objects that are there, or anew."""
    if shutil.which("git") is None:
        return

    def store(path: Path) -> None:
        if first:
            run("git", "init", "-q", "--bare", path)
        where = ["--git-dir", str(path), "--work-tree", "."] if first else []
        run("git", *where, "add", "-A", cwd=tree.root)
        run("git", *where, "write-tree", cwd=tree.root)

    yield Candidate("git add, write-tree", store)


def git_folder(tree: SourceTree) -> Iterator[Candidate]:
    """git add -A, git write-tree and git checkout-index: with a folder of the files."""
    if shutil.which("git") is None:
        return

    def build(path: Path) -> None:
        run("git", "add", "-A", cwd=tree.root)
        run("git", "write-tree", cwd=tree.root)
        run("git", "checkout-index", "-a", f"--prefix={path}/", cwd=tree.root)

    yield Candidate("git, checkout-index", build)


def archives(tree: SourceTree, settings: Settings, *, first: bool = False) -> Iterator[Candidate]:
    """ostree, restic and borg: storing by content, in the store that is there or in a new one."""
    for name, maker in ARCHIVERS.items():
        if shutil.which(name) is None:
            continue
        archiver = maker(tree, settings)
        if first:
            yield Candidate(name, _both(archiver), slow=True)
        else:
            place = settings.scratch / f"{name}-{tree.root.name}"
            archiver.create(place)
            archiver.store(place)
            yield Candidate(name, _at(place, archiver.store), slow=True)


@dataclass(frozen=True)
class Archiver:
    """A program that stores trees by content.

    Attributes:
        create: makes an empty store at a path.
        store: stores the tree in the store at a path.
        checkout: builds a folder (second path) of what was stored last (first), by hard links; None
            if the program can only copy out.
    """

    create: Callable[[Path], None]
    store: Callable[[Path], None]
    checkout: Callable[[Path, Path], None] | None = None


def ostree(tree: SourceTree, settings: Settings) -> Archiver:
    """``ostree commit`` into a repository whose files can be linked."""
    skipped = settings.scratch / "ostree-skips"
    skipped.write_text("/.git\n")

    def create(place: Path) -> None:
        run("ostree", f"--repo={place}", "init", "--mode=bare-user-only")

    def store(place: Path) -> None:
        run(
            *("ostree", f"--repo={place}", "commit", "--branch=code", "--canonical-permissions"),
            *(f"--skip-list={skipped}", f"--tree=dir={tree.root}"),
        )

    def checkout(place: Path, path: Path) -> None:
        run("ostree", f"--repo={place}", "checkout", "-U", "-H", "code", path)

    return Archiver(create, store, checkout)


def restic(tree: SourceTree, settings: Settings) -> Archiver:
    """``restic backup``; it encrypts, which cannot be turned off."""
    env = {"RESTIC_PASSWORD": "none", "RESTIC_CACHE_DIR": str(settings.scratch / "restic-cache")}

    def create(place: Path) -> None:
        run("restic", "-q", "-r", place, "init", env=env)

    def store(place: Path) -> None:
        run(
            *("restic", "-q", "-r", place, "backup", "--exclude", tree.root / ".git", "."),
            cwd=tree.root,
            env=env,
        )

    return Archiver(create, store)


def borg(tree: SourceTree, settings: Settings) -> Archiver:
    """``borg create``, without encryption."""
    env = {
        "BORG_BASE_DIR": str(settings.scratch / "borg-base"),
        "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
    }

    def create(place: Path) -> None:
        run("borg", "init", "--encryption=none", place, env=env)

    def store(place: Path) -> None:
        run(
            *("borg", "create", "--exclude", "pp:.git", f"{place}::{{now:%s.%f}}", "."),
            cwd=tree.root,
            env=env,
        )

    return Archiver(create, store)


ARCHIVERS = {"ostree": ostree, "restic": restic, "borg": borg}


@contextmanager
def quiet() -> Iterator[None]:
    """What programs below say on standard error goes nowhere."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _done(_: object) -> None:
    return None


def _both(archiver: Archiver) -> Callable[[Path], None]:
    def both(path: Path) -> None:
        archiver.create(path)
        archiver.store(path)

    return both


def _at(place: Path, store: Callable[[Path], None]) -> Callable[[Path], None]:
    return lambda _: store(place)
