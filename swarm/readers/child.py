"""The process that reads documents: one after the other, from its standard input, within limits.

It has no file to open and nobody to talk to: a document comes as bytes, its text goes back as JSON.
"""

import base64
import json
import os
import signal
import sys
from contextlib import suppress
from typing import Any, BinaryIO

MEMORY = 2 << 30
"""Maximum bytes of address space. PDFium needs 200 MB for a large PDF."""
OPEN_FILES = 64
"""Maximum open files: those of Python and of the readers' libraries."""
SPARE_SECONDS = 5
"""Seconds after the limit at which the process ends by itself, in case that its parent is gone."""


def main(seconds: int) -> None:
    """Read documents until the input ends. `seconds` is the limit of one."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    _limit()
    while (request := _request(sys.stdin.buffer)) is not None:
        signal.alarm(seconds + SPARE_SECONDS)
        answer = json.dumps(_answer(*request)).encode()
        signal.alarm(0)
        answers.write(b"%d\n" % len(answer) + answer)
        answers.flush()


def _limit() -> None:
    """Limit memory, files and what can be written. A system without such a limit has none."""
    import resource

    limits = {
        resource.RLIMIT_AS: MEMORY,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: OPEN_FILES,
    }
    for kind, value in limits.items():
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))


def _request(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    line = stream.readline()
    if not line:
        return None
    about: dict[str, Any] = json.loads(line)
    return about, stream.read(about["size"])


def _answer(about: dict[str, Any], content: bytes) -> dict[str, Any]:
    from swarm.readers.encodings import NotTextError
    from swarm.readers.read import read
    from swarm.readers.zips import UnreadableError

    try:
        found = read(about["reader"], content, about["name"], pictures=about["pictures"])
    except UnreadableError as error:
        return {"wrong": str(error)}
    except NotTextError as error:
        return {"wrong": f"is not text: {error}"}
    except MemoryError:
        return {"wrong": f"needs more than {MEMORY >> 30} GB of memory to read"}
    except RecursionError:
        return {"wrong": "is nested too deeply"}
    except Exception as error:  # noqa: BLE001 - a damaged file finds errors in every library
        return {"wrong": f"is damaged, or of a kind that is not known ({type(error).__name__})"}
    pictures = [{"page": each.page, "png": base64.b64encode(each.png).decode()} for each in found.pictures]
    return {
        "text": found.text.encode("utf-8", "replace").decode(),
        "unit": found.unit,
        "count": found.count,
        "notes": found.notes,
        "unread": found.unread,
        "damaged": found.damaged,
        "pictures": pictures,
    }
