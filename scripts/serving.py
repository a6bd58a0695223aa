"""Run ``esml serve`` in a separate process, for scripts and tests that send requests."""

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
"""Longest time for a server to start on a busy machine, s."""


class Server:
    """A server that answers at ``url``, with batches in ``folder``.

    Raises OSError if it ends instead, or has not answered after ``PATIENCE``.
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
        """Return the JSON answer of the REST interface at ``path``."""
        return json.loads(self.read(path, question))

    def read(self, path: str, question: dict[str, Any] | None = None) -> bytes:
        """Return the raw answer. Raises URLError if there is none or the request is refused."""
        request = urllib.request.Request(
            f"{self.url}/api/v1/{path}",
            data=None if question is None else json.dumps(question).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=300) as answer:
            content: bytes = answer.read()
            return content

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop the process and wait for its end."""
        self.process.send_signal(how)
        self.process.wait(timeout=60)


@contextmanager
def served() -> Iterator[Server]:
    """Start a server; stop it and delete its batches afterwards."""
    with TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            yield server
        finally:
            server.stop()
