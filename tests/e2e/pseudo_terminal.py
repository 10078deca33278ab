"""A program at a terminal of its own: what is typed, and what is seen there."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

# Cursor movements and colours; what remains is text.
ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>()][A-Z0-9]?|\r|\x07|\x0f")


class PseudoTerminal:
    """Runs a command with a pseudo-terminal as its stdin, stdout and stderr."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))

        def take_terminal() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env={**environment, "TERM": "vt100"},
            preexec_fn=take_terminal, close_fds=True,
        )  # fmt: skip
        os.close(slave)
        self.seen = b""

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def enter(self, line: str) -> None:
        self.type(line + "\r")

    def expect(self, pattern: str, seconds: float = 20.0) -> str:
        """Waits until what is seen matches, takes what is up to the end of the match and returns it."""
        end = time.monotonic() + seconds
        while True:
            text = ESCAPES.sub(b"", self.seen).decode(errors="replace")
            match = re.search(pattern, text)
            if match is not None:
                self.seen = text[match.end() :].encode()
                return text[: match.end()]
            if time.monotonic() > end or not self.read(end - time.monotonic()):
                raise AssertionError(f"no {pattern!r} in {text!r}")

    def read(self, seconds: float) -> bool:
        if not select.select([self.master], [], [], max(seconds, 0))[0]:
            return False
        try:
            more = os.read(self.master, 65536)
        except OSError:
            # The last program at the terminal has ended.
            more = b""
        self.seen += more
        return bool(more)

    def wait(self, seconds: float = 20.0) -> int:
        """The exit code, once the program has ended; what it still prints is read meanwhile."""
        end = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < end:
            self.read(0.1)
        return self.process.wait(timeout=1)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self.master)
