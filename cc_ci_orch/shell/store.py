"""The state folder: JSON files that are replaced whole, logs that grow by whole lines, locks.

Every file is 0600 whatever the umask. A write that fails (the disk is full, the folder
can't be written to) raises OSError and leaves what was there. A file that can't be read is
set aside with its date, never deleted, and the version before it is used.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Mapping
from errno import EMLINK, ENOTSUP, EPERM
from pathlib import Path
from typing import Any

from cc_ci_orch.core.model import FileStamp, Trouble
from cc_ci_orch.shell import logs
from cc_ci_orch.shell.ports import CannotTell
from cc_ci_orch.shell.private import clean, open_private, sync_folder, temporary

ROTATED_AT = {"events.jsonl": 16 * 1024 * 1024}
"""Files that `append` rotates, and the size in bytes at which it does. An event takes about
half a kilobyte: 16 MiB hold weeks of them, and still open in an editor."""

PREVIOUS = ".previous"


class Store:
    """The files of one folder, which must exist. Names are plain file names in it.

    Safe for several threads and processes, but for two savers of one name, of which the
    last wins: whoever saves holds the instance's lock.
    """

    def __init__(self, folder: Path, *, wall: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._wall = wall
        self._troubles: dict[str, Trouble] = {}
        self._cleaned = False

    def troubles(self) -> tuple[Trouble, ...]:
        """What `load` found corrupt or missing, one for each file and each such case."""
        return tuple(self._troubles.values())

    def stamp(self, path: Path) -> FileStamp | None:
        """Size and mtime; None where the file is absent. CannotTell if that can't be seen."""
        try:
            info = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise CannotTell(f"{path}: {error.strerror}") from None
        return FileStamp(info.st_size, info.st_mtime_ns)

    # ------------------------------------------------------------------ files replaced whole

    def save(self, name: str, value: Mapping[str, Any]) -> None:
        """Replace a JSON file atomically and durably; raises OSError, the old one intact.

        The version before stays as `<name>.previous`, where the file system has hard links.
        """
        self._replace(name, (json.dumps(dict(value)) + "\n").encode(), keep=True)

    def load(self, name: str, read: Callable[[Mapping[str, Any]], Any] = dict) -> Any:
        """What `read` makes of the JSON object in the file; None where there is no file.

        A corrupt one (`read` may raise ValueError, too) is set aside as
        `<name>.corrupt-<date>`; then, as for a missing one, the previous version is used.
        Both are told by `troubles`. OSError where the file is there and can't be read. For
        the holder of the instance's lock; others `peek`.
        """
        path = self._path(name)
        try:
            return read(_read_object(path))
        except FileNotFoundError:
            said = f"{name} is missing"
        except (ValueError, IsADirectoryError) as error:
            said = f"{name} is corrupt ({error}); {self._set_aside(path)}"
        try:
            value = read(_read_object(self._path(name + PREVIOUS)))
            said += "; the version before it is used"
        except FileNotFoundError:
            value = None
        except (ValueError, OSError) as error:
            value = None
            said += f"; the version before it can't be used ({error})"
        if value is not None or "; " in said:  # a file that never was is no trouble
            self._troubles[said] = Trouble(f"state:{name}", said)
        return value

    def peek(self, name: str) -> Mapping[str, Any] | None:
        """Like `load`, but it changes nothing and tells nothing: the file as far as it is usable.

        For those who don't hold the instance's lock. OSError where it can't be read.
        """
        for version in (name, name + PREVIOUS):
            try:
                return _read_object(self._path(version))
            except (FileNotFoundError, IsADirectoryError, ValueError):
                continue
        return None

    def write(self, path: Path, text: str) -> None:
        """Replace a text file, anywhere, atomically; raises OSError, the old one intact."""
        new = temporary(path)
        try:
            with open(open_private(new, os.O_WRONLY | os.O_EXCL), "wb") as file:
                file.write(text.encode("utf-8", "surrogateescape"))
            os.replace(new, path)
        finally:
            new.unlink(missing_ok=True)

    def tail(self, path: Path, size: int) -> str:
        """The last `size` bytes of a file as text; "" where it can't be read."""
        try:
            with path.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - size))
                return file.read(size).decode("utf-8", "replace")
        except OSError:
            return ""

    def save_text(self, name: str, text: str) -> None:
        """Replace a text file atomically and durably, keeping no version before it."""
        self._replace(name, text.encode("utf-8", "surrogateescape"), keep=False)

    def remove(self, name: str) -> None:
        """Remove a file and the version before it; absent ones are no error."""
        self._path(name + PREVIOUS).unlink(missing_ok=True)
        self._path(name).unlink(missing_ok=True)

    def _replace(self, name: str, data: bytes, *, keep: bool) -> None:
        if not self._cleaned:
            self._cleaned = True
            clean(self.folder)
        path = self._path(name)
        new = temporary(path)
        try:
            with open(open_private(new, os.O_WRONLY | os.O_EXCL), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if keep:
                self._keep_previous(name)
            os.replace(new, path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        sync_folder(self.folder)

    def _keep_previous(self, name: str) -> None:
        link = temporary(self._path(name))
        try:
            os.link(self._path(name), link)
            os.replace(link, self._path(name + PREVIOUS))
        except FileNotFoundError:
            pass  # the first version
        except OSError as error:
            if error.errno not in (EPERM, ENOTSUP, EMLINK):
                raise
        finally:
            # Renaming one link of a file to another does nothing and leaves both.
            link.unlink(missing_ok=True)

    def _set_aside(self, path: Path) -> str:
        date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._wall()))
        for number in itertools.count(1):
            aside = path.with_name(f"{path.name}.corrupt-{date}{f'-{number}' * (number > 1)}")
            if not os.path.lexists(aside):
                break
        try:
            os.rename(path, aside)
        except OSError as error:
            return f"it could not be set aside: {error.strerror}"
        return f"it is set aside as {aside.name}"

    def _path(self, name: str) -> Path:
        if "/" in name or name in ("", ".", "..") or "\0" in name:
            raise ValueError(f"no plain file name: {name!r}")
        return self.folder / name

    # ------------------------------------------------------------------ logs of whole lines

    def append(self, name: str, line: str) -> None:
        """Append one whole line or nothing; raises OSError.

        It survives our death at once, and a power cut when the kernel has written it out. A
        file of `ROTATED_AT` that is full gets the next free number, and is kept.
        """
        logs.append_line(self._path(name), line, ROTATED_AT.get(name))

    def end(self, name: str, size: int) -> str:
        """The last `size` bytes of a log that `append` rotates, as text."""
        texts = [self.tail(part, size) for part in self.parts(name)[-2:]]
        return "".join(texts)

    def parts(self, name: str) -> list[Path]:
        """The files of a log that `append` rotates, oldest first, as far as they exist."""
        path = self._path(name)
        return [*logs.numbered(path).values(), *([path] if path.exists() else [])]

    def rotate(self, path: Path, keep: int) -> None:
        """Rotate a session's log, wherever it is; see `logs.rotate`."""
        logs.rotate(path, keep)


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes().decode())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    return value
