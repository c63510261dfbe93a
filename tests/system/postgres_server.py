"""A private PostgreSQL server: a cluster in a temporary directory, reached by a unix socket in it."""

import glob
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

START_SECONDS = 60


def find_programs() -> pathlib.Path | None:
    """The directory of initdb and postgres: Debian's, that of PATH, or an unpacked package."""
    peers = os.environ.get("GANTRY_PEERS", "")
    found = glob.glob("/usr/lib/postgresql/*/bin/initdb") + [shutil.which("initdb") or ""] + glob.glob(
        f"{peers}/postgresql-15/usr/lib/postgresql/*/bin/initdb")
    return next((pathlib.Path(program).parent for program in found if program), None)


class PostgresServer:
    def __init__(self, programs: pathlib.Path):
        self.programs = programs
        # Not pytest's directory: the path of a unix socket has 107 characters at most, and root's is closed to others.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="gantry-postgres-", dir="/tmp"))
        self.identity = {}
        if os.geteuid() == 0:  # which PostgreSQL refuses to run as
            names = {user.pw_name for user in pwd.getpwall()}
            user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
            os.chown(self.directory, user.pw_uid, user.pw_gid)
            self.identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self.process = None

    def start(self) -> "PostgresServer":
        data = self.directory / "data"
        if not data.exists():
            subprocess.run([self.programs / "initdb", "-D", data, "-U", "gantry", "-A", "trust", "-E", "UTF8", "--locale=C",
                            "--no-sync"], check=True, capture_output=True, cwd=self.directory, **self.identity)
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", data, "-c", "listen_addresses=", "-k", self.directory, "-c", "fsync=off",
                 "-c", "jit=off"], stdout=log, stderr=log, cwd=self.directory, **self.identity)
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            assert self.process.poll() is None and time.monotonic() < deadline, (self.directory / "log").read_text()
            time.sleep(0.02)
        return self

    def is_ready(self) -> bool:
        """The last line of postmaster.pid says so once connections are taken."""
        status = self.directory / "data/postmaster.pid"
        return status.exists() and "ready" in status.read_text()

    def stop(self) -> None:
        """Every connection is cut at once."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.directory)

    def url(self, password: str) -> str:
        return f"postgres:///postgres?host={self.directory}&user=gantry&password={password}"
