import pathlib

import pytest

from gantry_process import Gantry


def pytest_collection_modifyitems(items):
    """Modules that send samples of the moment they were read in come first: a look back over five minutes must still find
    those when all other tests together take longer."""
    items.sort(key=lambda item: not any(name.startswith("NOW") for name in vars(item.module)))


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
