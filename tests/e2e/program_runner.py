"""Runs sopd and sop for the tests of this folder, with nothing but the standard library."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from typing import Any, Optional, Sequence

START_SECONDS = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Programs:
    """One server on a free port with its data in a folder of its own, and its clients."""

    def __init__(self, build_dir: str) -> None:
        self.sopd = os.path.join(build_dir, "server/sopd")
        self.sop = os.path.join(build_dir, "clients/cli/sop")
        self.folder = tempfile.mkdtemp(prefix="sop-e2e-")
        self.stores_root = os.path.join(self.folder, "stores")
        os.mkdir(self.stores_root)
        self.address = f"127.0.0.1:{free_port()}"
        self.process: Optional[subprocess.Popen[bytes]] = None

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        command = [self.sopd, "--data", os.path.join(self.folder, "data")]
        command += ["--listen", self.address, "--http", "off", "--stores-root", self.stores_root]
        with open(os.path.join(self.folder, "sopd.log"), "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            if self.run("--timeout", "1", "ping").returncode == 0:
                return
            time.sleep(0.05)
        with open(os.path.join(self.folder, "sopd.log"), encoding="utf-8") as log_file:
            raise RuntimeError("sopd does not answer:\n" + log_file.read()[-2000:])

    def kill(self) -> None:
        """SIGKILL: what a crash does."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, name: str, content: bytes) -> str:
        """A file for a command to read."""
        path = os.path.join(self.folder, name)
        with open(path, "wb") as stream:
            stream.write(content)
        return path

    def environment(self) -> dict[str, str]:
        return {**os.environ, "SOP_ADDRESS": self.address}

    def run(self, *arguments: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[str]":
        """One run of sop, whatever its exit code."""
        done = subprocess.run(
            [self.sop, *arguments],
            input=stdin,
            capture_output=True,
            env=self.environment(),
            timeout=120,
            check=False,
        )
        return subprocess.CompletedProcess(
            done.args,
            done.returncode,
            done.stdout.decode("utf-8", "surrogateescape"),
            done.stderr.decode("utf-8", "surrogateescape"),
        )

    def good(self, *arguments: str, stdin: bytes = b"") -> str:
        """What a run that must succeed printed to stdout."""
        done = self.run(*arguments, stdin=stdin)
        if done.returncode != 0:
            raise AssertionError(f"sop {arguments} failed:\n{done.stderr}\n{done.stdout}")
        return done.stdout

    def lines(self, *arguments: str) -> list[str]:
        return self.good(*arguments).splitlines()

    def json_lines(self, *arguments: str, stdin: bytes = b"") -> list[Any]:
        return [json.loads(line) for line in self.good("--json", *arguments, stdin=stdin).split("\n") if line]

    def refusal(self, *arguments: str, stdin: bytes = b"", exit_code: int = 1) -> dict[str, Any]:
        """The error of a run that must fail; nothing may be on stdout."""
        done = self.run("--json", *arguments, stdin=stdin)
        if done.returncode != exit_code:
            raise AssertionError(f"sop {arguments}: {done.returncode}\n{done.stderr}{done.stdout}")
        for line in done.stderr.splitlines():
            if line.startswith('{"error":'):
                error: dict[str, Any] = json.loads(line)["error"]
                return error
        raise AssertionError(f"no error in:\n{done.stderr}")


class ProgramCase(unittest.TestCase):
    """Tests of one class on one server."""

    build_dir = "build/release"
    sop: Programs

    @classmethod
    def setUpClass(cls) -> None:
        cls.sop = Programs(cls.build_dir)
        cls.addClassCleanup(cls.sop.close)
        cls.sop.start()


def main() -> None:
    """Runs the tests of a program whose argument is the folder of the build."""
    if len(sys.argv) > 1:
        ProgramCase.build_dir = sys.argv.pop(1)
    unittest.main()


def read_lines(path: str) -> list[str]:
    with open(path, encoding="utf-8") as stream:
        return stream.read().splitlines()


def in_byte_order(texts: Sequence[str]) -> list[str]:
    return sorted(texts, key=lambda text: text.encode())
