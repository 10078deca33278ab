"""A private server for tests: `with sop.testing.server() as server: server.database()`."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Optional, Sequence

import grpc

from sop.database import Database, DatabaseOptions

__all__ = ["Server", "find_sopd", "server"]

_START_SECONDS = 30.0
_STOP_SECONDS = 30.0


def find_sopd() -> str:
    """SOP_SOPD, else sopd on the PATH, else build/release/server/sopd in or above this folder."""
    named = os.environ.get("SOP_SOPD")
    if named:
        return named
    on_path = shutil.which("sopd")
    if on_path:
        return on_path
    for folder in (Path.cwd(), *Path.cwd().parents):
        built = folder / "build/release/server/sopd"
        if built.is_file():
            return str(built)
    raise FileNotFoundError("no sopd: build it, put it on the PATH, or name it in SOP_SOPD")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A sopd of our own on free ports, with all it keeps in `folder`. Databases may be in its
    `stores_root` and in the `--stores-root` folders among `flags`.
    """

    def __init__(self, folder: Path, flags: Sequence[str] = ()) -> None:
        self.folder = folder
        self.stores_root = folder / "stores"
        self.stores_root.mkdir(parents=True, exist_ok=True)
        self.address = f"127.0.0.1:{_free_port()}"
        self.http_address = f"127.0.0.1:{_free_port()}"
        self._flags = list(flags)
        self._process: Optional[subprocess.Popen[bytes]] = None

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    def database(self, name: str = "", **options: Any) -> Database:
        """A database on this server, `default` unless a name or folder is given."""
        return Database(DatabaseOptions(name=name, address=self.address, **options))

    def start(self) -> None:
        """Starts it and waits until it answers."""
        command = [find_sopd(), "--data", str(self.folder / "data"), "--listen", self.address]
        command += ["--http", self.http_address, "--stores-root", str(self.stores_root)]
        with open(self.folder / "sopd.log", "ab") as log:
            self._process = subprocess.Popen(
                command + self._flags, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            if self._answers():
                return
        self.kill()
        raise RuntimeError(f"sopd did not start; the end of its log:\n{self.log()[-2000:]}")

    def log(self) -> str:
        """What it has written so far, all starts together."""
        return (self.folder / "sopd.log").read_text(errors="replace")

    def stop(self) -> int:
        """Lets it drain (SIGTERM) and returns its exit code; kills it if that takes too long."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """Ends it at once (SIGKILL), as a crash would."""
        return self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(how)
        try:
            return process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def _answers(self) -> bool:
        with grpc.insecure_channel(self.address) as channel:
            try:
                grpc.channel_ready_future(channel).result(timeout=0.5)
                return True
            except grpc.FutureTimeoutError:
                return False


@contextmanager
def server(flags: Sequence[str] = ()) -> Iterator[Server]:
    """A running private server, with more `flags` if wanted; stopped and removed afterwards.
    Databases may be anywhere in the system's temporary folder.
    """
    with tempfile.TemporaryDirectory(prefix="sop-server-") as folder:
        running = Server(Path(folder), ["--stores-root", tempfile.gettempdir(), *flags])
        running.start()
        try:
            yield running
        finally:
            running.stop()
