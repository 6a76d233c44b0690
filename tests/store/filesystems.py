"""Real filesystems for tests: made in image files, mounted as root, gone again afterwards.

Everything lies below a folder that the test gives; whatever happens, mounts are taken away in the
reverse order (lazily, if something still holds one), loop devices with them, and the processes of
GlusterFS are ended by the ids that they have written down.

Where this is impossible (not root, a tool or a kernel module missing) tests are skipped with the
reason; with ``SLURMIC_REQUIRE_REALFS=1`` in the environment, as in CI, they fail.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

import pytest

Kind = Literal["ext4", "xfs", "btrfs", "tmpfs", "overlay", "vfat"]

MKFS: dict[str, tuple[str, ...]] = {
    # No blocks for root alone: tests fill it up as root.
    "ext4": ("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1"),
    "xfs": ("mkfs.xfs", "-q", "-f", "-m", "reflink=1"),
    "btrfs": ("mkfs.btrfs", "-q", "-f"),
    "vfat": ("mkfs.vfat",),
}


def unavailable(reason: str) -> NoReturn:
    """Skip the test, or fail it where real filesystems are required."""
    if os.environ.get("SLURMIC_REQUIRE_REALFS") == "1":
        pytest.fail(f"SLURMIC_REQUIRE_REALFS=1, but {reason}", pytrace=False)
    pytest.skip(reason)


def require(*tools: str, filesystem: str = "") -> None:
    """Skip, or fail, unless this process may mount and has these tools."""
    if os.geteuid() != 0:
        unavailable("mounting a filesystem needs root")
    for tool in tools:
        if shutil.which(tool) is None:
            unavailable(f"'{tool}' is not installed")
    if filesystem:
        run("modprobe", "-q", filesystem, check=False)
        if filesystem not in Path("/proc/filesystems").read_text().split():
            unavailable(f"the kernel has no {filesystem}")


def run(*command: str | Path, check: bool = True) -> str:
    """Run a command; its output. With `check`, a failure raises with what it said."""
    try:
        done = subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    except FileNotFoundError:
        if check:
            raise
        return ""
    if check and done.returncode != 0:
        raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


def unmount(folder: Path) -> None:
    """Unmount, patiently, and lazily if nothing else helps."""
    for pause in (0.1, 0.5, 2.0, 0.0):
        if not os.path.ismount(folder):
            return
        with contextlib.suppress(RuntimeError):
            run("umount", folder)
            return
        time.sleep(pause)
    run("umount", "-l", folder)


@contextlib.contextmanager
def mounted(folder: Path, *arguments: str | Path) -> Iterator[Path]:
    """``mount <arguments> <folder>``, and unmounted again in the end."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        run("mount", *arguments, folder)
    except RuntimeError as error:
        unavailable(f"mount failed: {error}")
    try:
        yield folder
    finally:
        unmount(folder)


@contextlib.contextmanager
def filesystem(
    base: Path,
    kind: Kind,
    *,
    size: str = "512M",
    make: tuple[str, ...] = (),
    options: str = "",
) -> Iterator[Path]:
    """A new filesystem of this kind, mounted below `base`.

    Args:
        base: an empty folder, or a new one.
        kind: overlay lies on an ext4 of its own.
        size: of the image (sparse), or of the tmpfs.
        make: more arguments for mkfs.
        options: more mount options, separated by commas.
    """
    base.mkdir(parents=True, exist_ok=True)
    if kind == "tmpfs":
        require("mount", filesystem="tmpfs")
        chosen = f"size={size}" + (f",{options}" if options else "")
        with mounted(base / "mnt", "-t", "tmpfs", "-o", chosen, "tmpfs") as folder:
            yield folder
        return
    if kind == "overlay":
        require("mount", filesystem="overlay")
        with filesystem(base / "under", "ext4", size=size) as under:
            for name in ("lower", "upper", "work"):
                (under / name).mkdir()
            layers = f"lowerdir={under}/lower,upperdir={under}/upper,workdir={under}/work"
            with mounted(base / "mnt", "-t", "overlay", "-o", layers, "overlay") as folder:
                yield folder
        return
    require("mount", "losetup", MKFS[kind][0], filesystem=kind)
    image = base / f"{kind}.img"
    with open(image, "wb") as stream:
        stream.truncate(_bytes(size))
    run(*MKFS[kind], *make, image)
    chosen = "loop" + (f",{options}" if options else "")
    try:
        with mounted(base / "mnt", "-t", kind, "-o", chosen, image) as folder:
            yield folder
    finally:
        # A loop device goes with its mount, unless that was made lazily and is still held.
        for line in run("losetup", "-n", "-O", "NAME", "-j", image, check=False).split():
            run("losetup", "-d", line, check=False)
        image.unlink()


def _bytes(size: str) -> int:
    return int(size[:-1]) * {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}[size[-1]]


def as_nobody(action: Callable[[], str]) -> str:
    """What `action` returns in a child process that is an unprivileged user; its error, if any."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            answer = action()
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(writer, answer.encode()[:4000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    return answer


# GlusterFS.


@dataclass(frozen=True)
class Gluster:
    """A volume of two bricks, mounted twice: two clients with caches of their own, as two hosts.

    Attributes:
        first, second: the two mounts.
    """

    first: Path
    second: Path


@contextlib.contextmanager
def gluster(base: Path) -> Iterator[Gluster]:
    """A GlusterFS of its own: daemon, socket, address, bricks and logs are below `base`."""
    require("glusterd", "glusterfs", "gluster", "mkfs.xfs", filesystem="fuse")
    # Any loopback address but 127.0.0.1, which is refused for bricks: no port can clash then.
    address = "127.{}.{}.{}".format(*(1 + secrets.randbelow(250) for _ in range(3)))
    # Socket names are short (108 bytes), and paths of tests are not.
    with contextlib.ExitStack() as stack:
        short = Path("/tmp", f"slurmic-gluster-{secrets.token_hex(4)}")
        short.mkdir(0o700)
        stack.callback(shutil.rmtree, short, ignore_errors=True)
        socket = short / "glusterd.sock"
        for name in ("run", "log", "wd"):
            (base / name).mkdir(parents=True)
        bricks = stack.enter_context(filesystem(base / "bricks", "xfs", size="1G"))
        stack.callback(_end_processes, base / "run")
        options = {
            "glusterd-sockfile": socket,
            "run-directory": base / "run",
            "working-directory": base / "wd",
            "transport.socket.bind-address": address,
            # Its other effect: the bricks' logs go there.
            "cluster-test-mode": base / "log",
        }
        chosen = [
            word
            for name, value in options.items()
            for word in ("--xlator-option", f"management.{name}={value}")
        ]
        run("glusterd", *chosen, "-l", base / "log/glusterd.log", "-p", base / "run/glusterd.pid")

        def volume(*words: str) -> str:
            log = f"--log-file={base / 'log/cli.log'}"
            return run(
                "gluster", "--mode=script", log, f"--glusterd-sock={socket}", "volume", *words
            )

        _until(lambda: volume("list"), "glusterd does not answer", base / "log/glusterd.log")
        places = [f"{address}:{bricks}/{name}/data" for name in ("a", "b")]
        for name in ("a", "b"):
            (bricks / name).mkdir()
        volume("create", "gv0", *places, "force")
        volume("start", "gv0")
        # Bricks have sockets in a place that cannot be chosen; they leave them behind.
        for path in _brick_sockets(base / "run"):
            stack.callback(path.unlink, missing_ok=True)
        stack.callback(_quietly, volume)
        for name in ("first", "second"):
            mount = base / name
            mount.mkdir()
            log, pid = base / "log" / f"{name}.log", base / "run" / f"{name}.pid"
            run("glusterfs", "-s", address, "--volfile-id=gv0", "-l", log, "-p", pid, mount)
            stack.callback(unmount, mount)
            _until(lambda mount=mount: _is_mounted(mount), "no mount", log)  # type: ignore[misc]
        yield Gluster(base / "first", base / "second")


def _quietly(volume: Callable[..., str]) -> None:
    with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):
        volume("stop", "gv0", "force")


def _is_mounted(mount: Path) -> None:
    if not os.path.ismount(mount):
        raise RuntimeError(f"'{mount}' is not mounted")
    os.statvfs(mount)


def _until(attempt: Callable[[], object], failure: str, log: Path) -> None:
    for _ in range(100):
        try:
            attempt()
            return
        except (RuntimeError, OSError):
            time.sleep(0.2)
    tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
    unavailable(f"{failure}: {tail}")


def _brick_sockets(folder: Path) -> Iterator[Path]:
    for number in _process_ids(folder):
        words = _command(number, folder)
        if b"-S" in words[:-1]:
            yield Path(os.fsdecode(words[words.index(b"-S") + 1]))


def _process_ids(folder: Path) -> Iterator[int]:
    for file in folder.rglob("*.pid"):
        with contextlib.suppress(OSError, ValueError):
            yield int(file.read_text())


def _command(number: int, folder: Path) -> list[bytes]:
    """The words of one of our processes' command line; none if the number is somebody else's."""
    with contextlib.suppress(OSError):
        command = Path(f"/proc/{number}/cmdline").read_bytes()
        if b"gluster" in command and os.fsencode(folder.parent) in command:
            return command.split(b"\0")
    return []


def _end_processes(folder: Path) -> None:
    """End the processes whose ids lie below `folder`, and no others."""
    ids = set(_process_ids(folder))
    for sent in (signal.SIGTERM, signal.SIGKILL):
        # A number may have been given to somebody else by now.
        ids = {number for number in ids if _command(number, folder)}
        for number in sorted(ids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, sent)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and any(_command(number, folder) for number in ids):
            time.sleep(0.1)
