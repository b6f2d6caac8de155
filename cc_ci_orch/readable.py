"""A terminal's output as text: escapes removed, redrawn lines reduced to their last state."""

from __future__ import annotations

import codecs
import re

_ESCAPES = re.compile(
    "\x1b\\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movements
    "|\x1b[\\]PX^_].*?(?:\x07|\x1b\\\\|$)"  # OSC, DCS and the like, up to their end
    "|\x1b[ -/]*[0-~]"  # two-character escapes
    "|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]",  # control characters but tab, LF, CR, ESC
    re.DOTALL,
)


def plain_text(data: bytes) -> str:
    """What a person would have read. Nothing in it can move a cursor or change a colour."""
    return Cleaner().feed(data, final=True)


class Cleaner:
    """Cleans a stream piece by piece; an escape that is cut in two waits for its rest."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, data: bytes, *, final: bool = False) -> str:
        """The text of the whole lines that are complete by now."""
        text = self._rest + self._decoder.decode(data, final)
        if final:
            whole, self._rest = text, ""
        else:
            at = text.rfind("\n") + 1
            whole, self._rest = text[:at], text[at:]
        lines = (_line(line) for line in whole.split("\n"))
        return "\n".join(lines)


def _line(line: str) -> str:
    """One line as it stood when it was left: what a CR drew over is gone."""
    line = _ESCAPES.sub("", line).rstrip("\r")
    return line.rsplit("\r", 1)[-1].replace("\x1b", "").replace("\r", "").rstrip()
