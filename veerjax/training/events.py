"""Scalars and pictures for TensorBoard, without TensorFlow."""

import importlib
import os
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from etils import epath
from jaxtyping import UInt8

FOLDER = "tensorboard"
FLUSH_S = 60.0
PART = 2**23  # [bytes] of a remote file, after which another is begun
VERSION = "brain.Event:2"  # of the file format


class Events:
    """Writes one file of events in `<workdir>/tensorboard`, or none where tensorboardX is missing.

    Each event is written by the one who adds it: tensorboardX's own SummaryWriter writes from a thread, and after a
    full disk has ended that thread the training would wait for it for ever.
    """

    def __init__(self, workdir: epath.Path, *, start: int) -> None:
        self._next = 0.0  # when what is written is flushed
        self._file = opened(workdir / FOLDER)
        if self._file is not None:
            # Their names are made at run time, which no type checker sees.
            self._event: Any = importlib.import_module("tensorboardX.proto.event_pb2")
            self._summary: Any = importlib.import_module("tensorboardX.summary")
            self._add(0, file_version=VERSION)
            # What an earlier start logged of the steps that come now is hidden.
            self._add(start + 1, session_log=self._event.SessionLog(status=self._event.SessionLog.START))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Figures of a step by name."""
        if self._file is not None:
            for name, value in values.items():
                self._add(step, summary=self._summary.scalar(name, value))

    def picture(self, step: int, name: str, image: UInt8[np.ndarray, "height width 3"]) -> None:
        """A picture of a step."""
        if self._file is not None:
            self._add(step, summary=self._summary.image(name, image, dataformats="HWC"))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _add(self, step: int, **content: Any) -> None:
        assert self._file is not None
        self._file.write(self._event.Event(wall_time=time.time(), step=step, **content).SerializeToString())
        if time.monotonic() >= self._next:
            self._file.flush()
            self._next = time.monotonic() + FLUSH_S


class Parts:
    """A file of a remote folder, where nothing can be appended: written anew as it grows, then followed by the next."""

    def __init__(self, path: str) -> None:
        self._path, self._part, self._content = path, 0, bytearray()

    def write(self, content: bytes) -> None:
        self._content += content

    def flush(self) -> None:
        if self._content:
            epath.Path(f"{self._path}.{self._part:04}").write_bytes(bytes(self._content))
        if len(self._content) >= PART:
            self._part, self._content = self._part + 1, bytearray()

    close = flush


class Remote:
    """What tensorboardX asks to open files of a scheme; what it has itself needs clients of its own."""

    open = staticmethod(Parts)


def opened(folder: epath.Path) -> Any:
    """A new file of events in the folder, or None, with a line on stderr that says why."""
    try:
        from tensorboardX import record_writer

        folder.mkdir(parents=True, exist_ok=True)
        path = os.fspath(folder / f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}")
        scheme, remote, _ = path.partition("://")
        if remote:
            record_writer.register_writer_factory(scheme, Remote)
        return record_writer.RecordWriter(path)
    except (ImportError, OSError) as error:
        reason = "pip install tensorboardX" if getattr(error, "name", "") == "tensorboardX" else error
        print(f"veerjax: no events for TensorBoard are written ({reason}).", file=sys.stderr)
        return None
