"""``esml serve`` in a process of its own, for scripts and tests that ask it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scripts import ROOT

PATIENCE = 300.0
"""Seconds that a server may take to start, on a busy machine."""


class Server:
    """A server that answers at ``url``, with batches in ``folder``.

    Raises OSError where it ends instead, or has not answered after ``PATIENCE``.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "esml", "serve", "--port", port, "--folder", folder, *options],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )
        begun = time.monotonic()
        while True:
            try:
                self.ask("about")
                return
            except urllib.error.URLError:
                if self.process.poll() is not None or time.monotonic() - begun > PATIENCE:
                    self.stop()
                    raise
                time.sleep(0.05)

    def ask(self, path: str, question: dict[str, Any] | None = None) -> Any:
        """What the REST interface answers at ``path``, from JSON."""
        return json.loads(self.read(path, question))

    def read(self, path: str, question: dict[str, Any] | None = None) -> bytes:
        """The answer as it is. Raises URLError where there is none, and for a refusal."""
        request = urllib.request.Request(
            f"{self.url}/api/v1/{path}",
            data=None if question is None else json.dumps(question).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=300) as answer:
            content: bytes = answer.read()
            return content

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the process, and wait until it has ended."""
        self.process.send_signal(how)
        self.process.wait(timeout=60)


@contextmanager
def served() -> Iterator[Server]:
    """A server that is stopped, and whose batches are forgotten, afterwards."""
    with TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            yield server
        finally:
            server.stop()
