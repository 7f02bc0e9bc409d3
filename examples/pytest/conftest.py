"""A small world for each test: in a database of its own, or on a server that all tests share."""

import json
import os
import pathlib
import subprocess

import pytest

WORLD = pathlib.Path(__file__).parent / "world.yaml"


class Refused(Exception):
    """A command that failed: the exit code says of what kind, the problem says why."""

    def __init__(self, code, problem):
        super().__init__(problem)
        self.code = code


# The settings of whoever runs the tests are kept out. With clock and ids frozen, a test sees the same on every run.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("TIDINGS_", "DB_"))}
ENVIRONMENT |= {"TIDINGS_NOW": "2026-01-01T12:00:00Z", "TIDINGS_SEED": "1"}


@pytest.fixture
def tidings(tmp_path):
    """Runs a command on the test's own database and returns what it shows, as JSON."""
    # An SQLite file in the test's folder: tests do not meet, and pytest throws it away.
    environment = ENVIRONMENT | {"TIDINGS_DB": str(tmp_path / "test.db"), "TIDINGS_OUTPUT": "json"}

    def run(*words):
        done = subprocess.run(["tidings", *words], env=environment, cwd=tmp_path, capture_output=True, text=True)
        if done.returncode != 0:
            raise Refused(done.returncode, done.stderr)
        return json.loads(done.stdout) if done.stdout else None

    run("data", "apply", str(WORLD))
    return run


@pytest.fixture(scope="session")
def server():
    """A server on a temporary database: its `url`, and `tokens` by user."""
    command = ["tidings", "serve", "--ephemeral", "--fixture", str(WORLD), "--token-for", "alice,bob,helper"]
    command += ["--bind", "127.0.0.1:0", "--ready-json", "--quiet"]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        # It says one line once it listens; were this program killed, it would end too, and its database with it.
        yield json.loads(process.stdout.readline())
        process.terminate()
