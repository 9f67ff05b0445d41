"""twistd finds the service, however the package was installed."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent
PLUGIN = "twisted/plugins/rustbalance_plugin.py"


def run(*argv: str | Path, **environment: str) -> str:
    """Run a program to its end and return what it printed; it must succeed."""
    done = subprocess.run(
        argv, check=False, capture_output=True, text=True, timeout=300, env={**os.environ, **environment}
    )
    if done.returncode:
        raise AssertionError(f"{argv} exited with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def exported(directory: Path) -> Path:
    """Copy what is packaged into a clean directory, so that no build leftovers of the checkout take part."""
    directory.mkdir(parents=True)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "rustbalance", "twisted"):
        run("cp", "-r", ROOT / name, directory / name)
    return directory


class PluginTests(SynchronousTestCase):
    """Three ways to install, one plugin."""

    def test_wheel_in_a_clean_environment(self) -> None:
        """The built wheel holds the plugin, and twistd in a fresh environment lists it."""
        scratch = Path(self.mktemp()).absolute()
        source = exported(scratch / "source")
        run(sys.executable, "-m", "pip", "-q", "wheel", "--no-deps", "--no-build-isolation", "-w", scratch, source)
        (wheel,) = scratch.glob("*.whl")
        self.assertIn(PLUGIN, zipfile.ZipFile(wheel).namelist())
        venv.create(scratch / "venv", with_pip=False)
        python = scratch / "venv" / "bin" / "python"
        site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        run(sys.executable, "-m", "pip", "-q", "--python", python, "install", "--no-deps", wheel)
        here = run(sys.executable, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        self.assertTrue(Path(site, PLUGIN).exists())
        # The dependencies come from this environment's site-packages, but not this checkout's path entry.
        listing = run(python, "-m", "twisted", "--help", PYTHONPATH=here, PYTHONDONTWRITEBYTECODE="1")
        self.assertIn("rustbalance", listing)
        where = run(python, "-c", "import rustbalance; print(rustbalance.__file__)", PYTHONPATH=here)
        self.assertIn(str(scratch), where)

    def test_editable_install(self) -> None:
        """The environment that make venv prepares has the plugin in twistd itself."""
        self.assertIn("rustbalance", run(Path(sys.executable).with_name("twistd"), "--help"))

    def test_no_package_marker(self) -> None:
        """twisted/ stays a namespace: an __init__.py there would hide Twisted itself."""
        self.assertEqual([str(path) for path in (ROOT / "twisted").rglob("__init__.py")], [])
