"""A web server on 127.0.0.1 for tests, with scripted answers, faults included, and a record of requests."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

# Longest delay of an answer, whatever a test does.
LONGEST_SECONDS = 30.0


@dataclass(frozen=True)
class Answer:
    """One answer. After `cut` bytes of the body the connection ends; after `stall` bytes it stays open and silent."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    version: str = '"1"'  # the ETag; empty for none
    ranges: bool = True
    heeds_if_range: bool = True
    sized: bool = True  # without: no Content-Length, and the body ends where the connection does
    cut: int | None = None
    stall: int | None = None


class Asked(NamedTuple):
    path: str
    headers: dict[str, str]


class Server:
    """The answers of each path, in order; the last one is repeated."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.asked: list[Asked] = []
        self.closing = threading.Event()
        self._answers: dict[str, list[Answer]] = {}
        self._lock = threading.Lock()

    def give(self, path: str, *answers: Answer | bytes) -> str:
        """Set the answers of a path; return its address."""
        self._answers[path] = [Answer(answer) if isinstance(answer, bytes) else answer for answer in answers]
        return self.url + path

    def take(self, asked: Asked) -> Answer:
        with self._lock:
            self.asked.append(asked)
            answers = self._answers.get(asked.path, [Answer(b"nothing here", status=404)])
            return answers.pop(0) if len(answers) > 1 else answers[0]

    @property
    def ranges(self) -> list[str]:
        """The Range header of each request, in order; empty for the whole file."""
        return [asked.headers.get("Range", "") for asked in self.asked]


class _Handler(BaseHTTPRequestHandler):
    server: "_HTTPServer"
    timeout = LONGEST_SECONDS

    def do_GET(self) -> None:
        asked = Asked(self.path, dict(self.headers))
        answer = self.server.state.take(asked)
        start = _start(asked, answer)
        if start is not None and start >= len(answer.body):
            self.send_error(416)
            return
        body = answer.body[start or 0 :]
        self.send_response(206 if start is not None else answer.status)
        if answer.sized:
            self.send_header("Content-Length", str(len(body)))
        if start is not None:
            self.send_header("Content-Range", f"bytes {start}-{len(answer.body) - 1}/{len(answer.body)}")
        if answer.version:
            self.send_header("ETag", answer.version)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body[: answer.cut if answer.stall is None else answer.stall])
            self.wfile.flush()
        if answer.stall is not None:
            self.server.state.closing.wait(LONGEST_SECONDS)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


def _start(asked: Asked, answer: Answer) -> int | None:
    """Return the first byte of a partial answer; None for a whole one."""
    wanted, same = asked.headers.get("Range"), asked.headers.get("If-Range", answer.version)
    if not wanted or not answer.ranges or answer.status != 200:
        return None
    known = {answer.version, answer.headers.get("Last-Modified", answer.version)}
    return int(wanted.removeprefix("bytes=").removesuffix("-")) if same in known or not answer.heeds_if_range else None


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    state: Server


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Serve until the block ends."""
    with _HTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.state = Server(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server.state
        finally:
            server.state.closing.set()
            server.shutdown()
            thread.join(LONGEST_SECONDS)
