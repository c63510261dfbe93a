import pathlib

import pytest

from gantry_process import Gantry


@pytest.fixture
def make_gantry(tmp_path: pathlib.Path):
    """Makes (unstarted) processes; all are ended with the test."""
    made = []

    def make(name: str = "data", **options) -> Gantry:
        made.append(Gantry(tmp_path / name, **options))
        return made[-1]

    yield make
    for gantry in made:
        if gantry.process is not None and gantry.process.poll() is None:
            gantry.kill()


@pytest.fixture(scope="module")
def gantry(tmp_path_factory: pytest.TempPathFactory):
    """One running process for all tests of a module."""
    process = Gantry(tmp_path_factory.mktemp("gantry") / "data").start()
    yield process
    assert process.stop() == 0, process.log()
