"""A clone with a bare repository of git and a folder as the remotes by which machines share cells."""

import subprocess
from pathlib import Path

from pipeline.running.remotes import Remotes

KEYS = ("0123456789ab", "ba9876543210")
REFERENCES = {key: f"refs/exps/aa/{'b' * 38}/mine-c{number}-{key}" for number, key in enumerate(KEYS)}
REFUSING = "#!/bin/sh\necho 'closed for today' >&2\nexit 1\n"


class Machine:
    """A clone of one commit, a bare repository beside it, and a folder as DVC's remote."""

    def __init__(self, folder: Path, root: str = "clone") -> None:
        self.top, self.bare, self.data = folder / "clone", folder / "bare.git", folder / "data"
        self.root = folder / root
        self.remotes = Remotes(git=str(self.bare), dvc="storage", options={"url": str(self.data)})
        self.root.mkdir(parents=True)
        self.run("git", "init", "--quiet", "--initial-branch", "main", str(self.top))
        self.run("git", "config", "user.name", "A")
        self.run("git", "config", "user.email", "a@example.org")
        self.run("git", "init", "--quiet", "--bare", "--initial-branch", "main", str(self.bare))
        self.run("git", "remote", "add", "origin", str(self.bare))

    def run(self, *words: str, at: Path | None = None) -> str:
        done = subprocess.run(words, cwd=at or self.root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def finish(self, *keys: str) -> None:
        """Commit all, and make that the experiment of keys."""
        self.run("git", "add", "--all", ":/")
        self.run("git", "commit", "--quiet", "--allow-empty", "--message", "one")
        for key in keys:
            self.run("git", "update-ref", REFERENCES[key], "HEAD")

    def shared(self) -> list[str]:
        """What the bare repository has beside branches."""
        return self.run(
            "git", "for-each-ref", "--format=%(refname)", "refs/exps", "refs/orbweaver", at=self.bare
        ).split()

    def refuse(self) -> None:
        hook = self.bare / "hooks/pre-receive"
        hook.write_text(REFUSING, encoding="utf-8")
        hook.chmod(0o755)
