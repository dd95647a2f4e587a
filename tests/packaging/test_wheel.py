"""The sdist, the wheel and the image's virtual environment, built as a release builds them."""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from tests.packaging.containerfile import ROOT, copy_context, sources, stages

VENV = Path(sys.executable).parents[1]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", "dist", ".*_cache", ".hypothesis", ".coverage*", "*.db*", ".env")


def release(folder: Path, *, umask: int = 0o022, **variables: str) -> dict[str, bytes]:
    """Run `make wheel` in a folder of sources; returns the files it makes."""
    ready = ["-o", f"{VENV}/.ready", f"VENV={VENV}"]  # the environment of the tests will do
    kept = {name: os.environ[name] for name in ("PATH", "HOME")}  # noqa: TID251 - the test's own
    made = subprocess.run(
        ["make", "wheel", *ready], cwd=folder, env={**kept, **variables}, umask=umask, capture_output=True, check=False
    )
    assert made.returncode == 0, made.stderr.decode()
    return {file.name: file.read_bytes() for file in (folder / "dist").iterdir() if file.name != ".gitignore"}


@pytest.fixture(scope="module")
def sheltered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the checkout, with what belongs into no release."""
    folder = tmp_path_factory.mktemp("sheltered")
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT, dirs_exist_ok=True)
    (folder / "bot" / ".env").write_text("SLACK_BOT_TOKEN=xoxb-secret")
    (folder / "bot" / "turso-rotate.db").write_text("rows")
    for package in ("bot", "migrations/versions"):
        (folder / package / "__pycache__").mkdir(exist_ok=True)
        (folder / package / "__pycache__" / "stale.cpython-311.pyc").write_text("stale")
    return folder


@pytest.fixture(scope="module")
def released(sheltered: Path) -> dict[str, bytes]:
    return release(sheltered)


def test_the_same_sources_make_the_same_bytes_elsewhere(released: dict[str, bytes], tmp_path: Path) -> None:
    shutil.copytree(ROOT, tmp_path / "elsewhere", ignore=LEFT_OUT)
    for file in (tmp_path / "elsewhere").rglob("*"):
        file.chmod(file.stat().st_mode & 0o700)  # as a strict umask leaves it
        os.utime(file, (1_700_000_000, 1_700_000_000))
    again = release(tmp_path / "elsewhere", umask=0o077, SOURCE_DATE_EPOCH="1700000000", TZ="Asia/Tokyo", LC_ALL="C")

    assert {name: digest(data) for name, data in again.items()} == {n: digest(d) for n, d in released.items()}
    assert sorted(name.rpartition(".")[2] for name in released) == ["gz", "txt", "whl"]


def test_the_sdist_holds_the_tests_and_what_they_look_at(released: dict[str, bytes], tmp_path: Path) -> None:
    unpacked = unpack(released, tmp_path)
    chosen = ["tests/docs", "tests/packaging/test_deployment.py", "tests/slack/test_manifest.py"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen],
        cwd=unpacked, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ran.returncode == 0, ran.stdout[-2000:]
    for folder in ("bot", "docs", "migrations", "tests"):
        assert files(unpacked / folder) == files(ROOT / folder)


def test_the_wheel_holds_the_package_its_migrations_and_nothing_else(
    released: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "wheel").write_bytes(released[name_of(released, ".whl")])
    with zipfile.ZipFile(tmp_path / "wheel") as wheel:
        names = wheel.namelist()
        about = message_from_bytes(next(wheel.read(name) for name in names if name.endswith("/METADATA")))
    info = "turso_rotate-{}.dist-info".format(about["Version"])

    assert {name.split("/")[0] for name in names} == {"bot", info}
    assert [name for name in names if name.endswith((".pyc", ".env", ".db"))] == []
    assert {name.rpartition("/")[2] for name in names if name.startswith("bot/_migrations/versions/")} == {
        file.name for file in (ROOT / "migrations/versions").glob("*.py")
    }
    assert f"{info}/licenses/LICENSE" in names
    assert (about["Name"], about["Requires-Python"]) == ("turso-rotate", ">=3.11")


def test_the_images_steps_install_the_same_wheel_so_that_it_works_and_is_compiled(
    released: dict[str, bytes], tmp_path: Path
) -> None:
    here, context = tmp_path / "image", tmp_path / "image/src"
    context.mkdir(parents=True)
    for step in stages()[0]:
        if step.word == "COPY":
            for source in sources(step):
                copy_context(source, context)
        elif step.word == "RUN" and not step.rest.startswith("python -m pip install"):  # uv is here already
            build(step.rest, here)
    home = here / "opt/turso-rotate"
    packages = next((home / "lib").glob("python3.*/site-packages"))
    empty = tmp_path / "empty"
    empty.mkdir()
    ran = [run_in(empty, home / "bin/turso-rotate", word) for word in ("--version", "migrate", "migrate")]

    wheel = name_of(released, ".whl")

    assert digest((here / "dist" / wheel).read_bytes()) == digest(released[wheel])  # which came out of the sdist
    assert [done.returncode for done in ran] == [0, 0, 0], ran[-1].stderr
    assert "up to date" in ran[-1].stderr
    assert [file for file in packages.rglob("*.py") if not compiled(file)] == []
    assert {"pip", "uv", "hatchling", "pytest"}.isdisjoint(file.name for file in packages.iterdir())
    assert (packages / "bot/_migrations/env.py").exists()


def build(script: str, here: Path) -> None:
    """Run a step of the image's first stage, with its folders moved below `here`."""
    for folder in ("/opt/turso-rotate", "/opt/build", "/dist"):
        script = script.replace(folder, shlex.quote(f"{here}{folder}"))
    kept = {name: os.environ[name] for name in ("HOME",)}  # noqa: TID251 - the test's own
    done = subprocess.run(
        ["/bin/sh", "-eu", "-c", script], cwd=here / "src", capture_output=True, text=True, check=False,
        env={**kept, "PATH": f"{VENV}/bin:/usr/bin:/bin", "UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def run_in(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {"DATABASE_URL": "sqlite:///rotations.db", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def compiled(file: Path) -> bool:
    """Say whether a module is compiled, and trusted without a look at its source (PEP 552's flags 0b01)."""
    found = list((file.parent / "__pycache__").glob(f"{file.stem}.cpython-*.pyc"))
    return len(found) == 1 and found[0].read_bytes()[4] == 1


def unpack(released: dict[str, bytes], folder: Path) -> Path:
    (folder / "sdist").write_bytes(released[name_of(released, ".tar.gz")])
    with tarfile.open(folder / "sdist") as archive:
        archive.extractall(folder, filter="data")
    return next(path for path in folder.iterdir() if path.is_dir())


def files(folder: Path) -> set[str]:
    return {
        file.relative_to(folder).as_posix()
        for file in folder.rglob("*")
        if file.is_file() and file.parent.name != "__pycache__" and file.suffix != ".db"
    }


def name_of(released: dict[str, bytes], ending: str) -> str:
    return next(name for name in released if name.endswith(ending))


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
