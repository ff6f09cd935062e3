# SPDX-License-Identifier: Apache-2.0
"""Checks the machine and the Python environment for everything that this project needs.

Each check is a function without arguments that yields findings. A check must also work where many
of the packages are missing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import importlib.metadata
import importlib.util
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator

from mixer_tf import workers
from mixer_tf.lean_imports import import_tensorflow

_LOCK = pathlib.Path(__file__).parents[1] / "requirements.lock"
_IN_CHECKOUT = _LOCK.exists()
_SETUP = "make setup"
# The environment of a checkout has no pip.
_CUDA = "uv pip install --python .venv/bin/python --require-hashes -r kubeflow/train-gpu.lock"
_PIP_CUDA = "pip install 'tensorflow[and-cuda]==2.15.1'"
# The project is installed from a clone: no package index has it.
_REINSTALL = "in a clone of mixer_tf: pip install --force-reinstall ."
# Those of setup.py.
_EXTRAS = {
    "pipeline": ("apache-beam", "scikit-learn", "tensorflow-datasets", "tfx"),
    "plots": ("matplotlib",),
    "onnx": ("onnx", "onnxruntime", "tf2onnx"),
    "references": ("flax", "jax", "optax"),
    "test": ("pytest", "pytest-timeout", "pytest-xdist", "ruff"),
    "profiler": ("tensorboard-plugin-profile",),
}
_GIBIBYTE = 1 << 30
_DOCKER_TIMEOUT_SECONDS = 20
_MAX_PACKAGES = 5  # listed in one finding


class Level(enum.Enum):
    """Severity of a finding."""

    OK = "ok"
    NOTE = "note"  # the project works, but something optional is missing
    PROBLEM = "problem"


@dataclasses.dataclass(frozen=True)
class Finding:
    """One result of a check.

    Attributes:
        level: severity.
        text: what was found.
        fix: what to do about it, or "".
    """

    level: Level
    text: str
    fix: str = ""


def examine() -> Iterator[Finding]:
    """Runs all checks and yields their findings one by one."""
    for check in CHECKS:
        yield from check()


def check_python() -> Iterator[Finding]:
    version = platform.python_version()
    if sys.version_info[:2] == (3, 10):
        yield Finding(Level.OK, f"Python {version}")
    else:
        fix = f"{_SETUP}, then .venv/bin/mixer doctor"
        yield Finding(Level.PROBLEM, f"Python {version}; the pinned packages need 3.10", fix)


def check_packages() -> Iterator[Finding]:
    """Compares installed versions with the lock file, or outside a checkout with setup.py."""
    wrong = list(_differences_from_lock() if _IN_CHECKOUT else _differences_from_requirements())
    expected = "requirements.lock" if _IN_CHECKOUT else "the requirements of mixer-tf"
    if not wrong:
        yield Finding(Level.OK, f"packages match {expected}")
        return
    num_hidden = len(wrong) - _MAX_PACKAGES
    more = f" and {num_hidden} more" if num_hidden > 0 else ""
    fix = _SETUP if _IN_CHECKOUT else _REINSTALL
    text = f"packages differ from {expected}: {', '.join(wrong[:_MAX_PACKAGES])}{more}"
    yield Finding(Level.PROBLEM, text, fix)


def check_extras() -> Iterator[Finding]:
    """Checks the packages of each optional extra."""
    for extra, packages in _EXTRAS.items():
        missing = [name for name in packages if _installed_version(name) is None]
        if missing:
            fix = _SETUP if _IN_CHECKOUT else f"in a clone of mixer_tf: pip install '.[{extra}]'"
            yield Finding(Level.NOTE, f"extra {extra!r} without {', '.join(missing)}", fix)
        else:
            yield Finding(Level.OK, f"extra {extra!r}")


def check_compiled() -> Iterator[Finding]:
    """Without byte-compiled packages every process of the pipeline starts 10 s later."""
    spec = importlib.util.find_spec("tfx")
    if spec and spec.origin and not os.path.exists(importlib.util.cache_from_source(spec.origin)):
        fix = f"{sys.executable} -m compileall -q {sysconfig.get_path('purelib')}"
        yield Finding(
            Level.NOTE, "packages are not byte-compiled, which makes every start slow", fix
        )


def check_tensorflow() -> Iterator[Finding]:
    """Imports TensorFlow and lists its devices."""
    try:
        tf = import_tensorflow()
    except Exception as error:  # a broken installation may raise anything
        fix = _SETUP if _IN_CHECKOUT else "pip install 'tensorflow==2.15.1'"
        yield Finding(Level.PROBLEM, f"TensorFlow cannot be imported: {error}", fix)
        return
    yield Finding(Level.OK, f"TensorFlow {tf.__version__}")
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        yield Finding(Level.OK, f"{len(gpus)} GPUs: {', '.join(map(_describe_gpu, gpus))}")
    elif os.path.exists("/dev/nvidia0"):
        fix = f"{_CUDA if _IN_CHECKOUT else _PIP_CUDA}, and a driver >= 525"
        yield Finding(
            Level.PROBLEM, "there is an NVIDIA GPU, but TensorFlow does not detect it", fix
        )
    else:
        yield Finding(Level.OK, f"no GPU; training uses {workers.count_processors()} CPU cores")


def _describe_gpu(gpu) -> str:
    import tensorflow as tf

    return tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)


def check_tpu() -> Iterator[Finding]:
    name = os.environ.get("TPU_NAME")
    device = next((path for path in ("/dev/accel0", "/dev/vfio/0") if os.path.exists(path)), None)
    if device and not importlib.util.find_spec("libtpu"):
        fix = "use a TPU VM with the image tpu-vm-tf-2.15.1, or install its libtpu"
        yield Finding(
            Level.NOTE, f"there may be a TPU ({device}), but libtpu is not installed", fix
        )
    elif name or device:
        yield Finding(Level.OK, f"TPU {name or device}; train with --strategy=tpu")


def check_cpu() -> Iterator[Finding]:
    """The TensorFlow wheel needs AVX, and is slow without AVX2 and FMA."""
    if platform.machine() not in ("x86_64", "AMD64"):
        fix = "use an x86-64 machine or container; requirements.lock is for Linux x86-64"
        yield Finding(Level.NOTE, f"the processor is {platform.machine()}", fix)
        return
    with contextlib.suppress(OSError):
        flags = set(re.search(r"^flags\s*:(.*)$", _read("/proc/cpuinfo"), re.MULTILINE)[1].split())
        if "avx" not in flags:
            fix = "use a newer machine, or pass the host's CPU flags to the virtual machine"
            yield Finding(Level.PROBLEM, "the processor has no AVX, which TensorFlow needs", fix)
            return
        known = [flag for flag in ("avx", "avx2", "fma", "avx512f", "amx_bf16") if flag in flags]
        yield Finding(Level.OK, f"processor with {', '.join(known)}")


def check_memory() -> Iterator[Finding]:
    with contextlib.suppress(OSError):
        available = int(re.search(r"MemAvailable:\s+(\d+)", _read("/proc/meminfo"))[1]) << 10
        text = f"{available / _GIBIBYTE:.1f} GiB of memory free"
        if available < 4 * _GIBIBYTE:
            fix = "close other programs; the pipeline needs about 4 GB"
            yield Finding(Level.NOTE, text, fix)
        else:
            yield Finding(Level.OK, text)


def check_disk() -> Iterator[Finding]:
    free = shutil.disk_usage(os.getcwd()).free
    text = f"{free / _GIBIBYTE:.1f} GiB of disk free here"
    if free < 5 * _GIBIBYTE:
        fix = "make room, or write elsewhere with --root (pipeline) or --output (mixer train)"
        yield Finding(Level.NOTE, text, fix)
    else:
        yield Finding(Level.OK, text)


def check_docker() -> Iterator[Finding]:
    """Docker is needed by TensorFlow Serving, container images and TFX's InfraValidator only."""
    purpose = "only needed for TensorFlow Serving and for clusters"
    if not shutil.which("docker"):
        fix = "https://docs.docker.com/engine/install"
        yield Finding(Level.NOTE, f"no Docker; {purpose}", fix)
        return
    try:
        process = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            text=True,
            timeout=_DOCKER_TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        process = subprocess.CompletedProcess([], 1, "", str(error))
    if process.returncode == 0:
        yield Finding(Level.OK, f"Docker {process.stdout.strip()}")
        return
    fix = "start it (systemctl start docker), and add your user to the group docker"
    yield Finding(Level.NOTE, f"Docker is installed but does not answer; {purpose}", fix)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_python,
    check_packages,
    check_extras,
    check_compiled,
    check_cpu,
    check_tensorflow,
    check_tpu,
    check_memory,
    check_disk,
    check_docker,
)


def _differences_from_lock() -> Iterator[str]:
    """Yields "name 1.0 instead of 1.1" for each package that differs from the lock file."""
    for name, version in re.findall(r"^([\w.-]+)==([^\s\\;]+)", _read(_LOCK), re.MULTILINE):
        installed = _installed_version(name)
        if installed != version:
            yield f"{name} {installed or 'missing'} instead of {version}"


def _differences_from_requirements() -> Iterator[str]:
    """Yields the same for the requirements of `mixer-tf`, without its extras."""
    from packaging.requirements import Requirement

    for text in importlib.metadata.requires("mixer-tf") or ():
        requirement = Requirement(text)
        installed = _installed_version(requirement.name)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        if installed is None or not requirement.specifier.contains(installed):
            yield f"{requirement.name} {installed or 'missing'} instead of {requirement.specifier}"


def _installed_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _read(path) -> str:
    return pathlib.Path(path).read_text(encoding="utf-8")
