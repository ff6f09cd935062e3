# SPDX-License-Identifier: Apache-2.0
"""What must hold before a pipeline is compiled for a cluster, and before its file is written."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence

from mixer_tf import storage
from mixer_tf.datasets.sources import opening
from mixer_tf.messages import without_credentials
from pipeline.configs import DOCKER, OFF, PipelineConfig

# Target → its run-time parameter for the root; TFX itself adds that of kfp-v1.
ROOTS = {"kfp-v1": "pipeline-root", "kfp-v2": "pipeline_root", "vertex": "pipeline_root"}
TARGETS = tuple(ROOTS)

_LOCAL_KINDS = ("folder", "csv", "tfrecord")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_WORDS = (
    r"password|passwd|secret|token|credential|api[._-]?key|access[._-]?key|secret[._-]?key"
    r"|private[._-]?key|connection[._-]?string"
)
# An option of a library, whose value is a secret.
_SECRET_OPTION = re.compile(
    rf"""--?["']?([\w-]*(?:{_WORDS})[\w-]*)["']?[=\s]+[^\s=]""", re.IGNORECASE
)
# A field of a document or a variable, such as {"env": {"DB_PASSWORD": "…"}}; unlike tokens_mlp_dim,
# its name ends with the word.
_SECRET_FIELD = re.compile(
    rf"""([\w.-]*(?:{_WORDS}))["']?\s*[=:]\s*["']?[^\s"'=:{{\[]""", re.IGNORECASE
)
_SECRET_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\bAKIA[0-9A-Z]{16}\b"  # AWS
    r"|\bya29\.[\w-]{20,}"  # Google OAuth
    r"|\bAIza[\w-]{35}\b"  # Google API
    r"|\bgh[pousr]_\w{36}\b"  # GitHub
    r"|\bglpat-[\w-]{20}\b"  # GitLab
    r"|\bxox[abprs]-[\w-]{10,}"  # Slack
    r"|\bhf_[A-Za-z0-9]{30,}\b"  # Hugging Face
    r"|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\."  # JSON Web Token
    r"|\bBearer [\w.~+/-]{8,}"
    r"|[?&](?:sig|X-Amz-Signature|X-Goog-Signature|access_token|token|key)=[\w%.-]{8,}",
    re.IGNORECASE,
)
# Without a scheme, as in --job_endpoint=USER:PASSWORD@HOST:8099; not the digest of an image.
_SECRET_ADDRESS = re.compile(r"""(?:^|[=\s,"'])[^\s/@:=,"']+:[^\s/@"']+@(?!sha256:)[\w.-]+""")
_HOW_TO = (
    "Give it to the steps as a Kubernetes secret (--secret), a service account or a file in the "
    "image."
)


def require_portable(config: PipelineConfig, target: str) -> None:
    """Checks that the names in `config` mean something on another machine.

    Args:
        config: the run.
        target: "kfp-v1", "kfp-v2" or "vertex".

    Raises:
        ValueError: a relative path, a bad name, or a root that the target does not take.
    """
    if not _NAME.fullmatch(config.name):
        raise ValueError(
            f"a pipeline's name must be at most 63 lower-case letters, digits and hyphens, and "
            f"start and end with a letter or digit; got {config.name!r}. Give a --name."
        )
    if target == "vertex" and not config.name[0].isalpha():
        raise ValueError(
            "a pipeline's name must start with a letter for Vertex AI, which makes the id of the "
            f"job of it; got {config.name!r}. Give a --name."
        )
    _require_supported(config, target)
    require_root(config.root, target)
    require_serving_dir(config.serving_dir or "", target)
    require_weights(config.recipe.model.weights)
    require_path("--data-dir", config.data_dir or "")
    require_path("--keep-duplicates", config.keep_duplicates or "")
    require_path("--exclude", config.exclude or "")
    require_source("--source", config.source)
    for spec in config.downstream_test_sets:
        require_source("--downstream-test-sets", spec)


def _require_supported(config: PipelineConfig, target: str) -> None:
    if config.predict:
        raise ValueError(
            "--predict must be given to the local runner only; classify folders with `mixer "
            "predict FOLDER --output=FILE` where the model is served."
        )
    if config.infra_validator == DOCKER:
        raise ValueError("--infra-validator must be kubernetes or off on a cluster; got docker.")
    if config.infra_validator != OFF and target != "kfp-v1":
        raise ValueError(
            "--infra-validator must be given with --target=kfp-v1 only, because TFX refuses it for "
            f"others; got --target={target}. The ModelChecker loads each model there too."
        )


def require_root(root: str, target: str) -> None:
    """Checks the root of a pipeline.

    Raises:
        ValueError: the target does not take it.
    """
    if target == "vertex" and not root.startswith("gs://"):
        raise ValueError(
            f"--root must be a bucket of Google Cloud, gs://…, for Vertex AI; got {root}."
        )
    # Its server also takes minio://, which TensorFlow does not read.
    if target == "kfp-v2" and not root.startswith(("gs://", "s3://")):
        raise ValueError(
            "--root must be a bucket, gs://… or s3://…, for Kubeflow Pipelines v2; got "
            f"{root}. Use --target=kfp-v1 for a root on a volume."
        )
    require_path("--root", root)


def require_serving_dir(path: str, target: str) -> None:
    """Checks the folder to which models are pushed; a relative one is below the root.

    Raises:
        ValueError: it would be on the disk of the container.
    """
    if target == "vertex" and os.path.isabs(path):
        raise ValueError(
            "--serving-dir must be a bucket of Google Cloud, gs://…, or relative to the root, for "
            f"Vertex AI; got {path}."
        )


def require_weights(weights: str | None) -> None:
    """Checks weights that are a path; names of published ones have neither folder nor suffix.

    Raises:
        ValueError: the path is relative, or that of a bucket, from which no checkpoint is read.
    """
    if weights and storage.is_remote(weights):
        raise ValueError(
            "--set model.weights must be a file in the image or on a mounted volume, or the name "
            f"of published weights; got {weights!r}."
        )
    if weights and (os.path.dirname(weights) or os.path.splitext(weights)[1]):
        require_path("--set model.weights", weights)


def require_source(option: str, spec: str) -> None:
    """Checks that a source has a known kind and a path that the cluster can reach.

    Raises:
        ValueError: it has not.
    """
    try:
        kind, location = opening.parse(spec)
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from None
    if kind in _LOCAL_KINDS:
        require_path(option, location)
    if kind == "csv" and storage.is_remote(location):
        raise ValueError(
            f"{option}: the list of a csv: source must be a file in the image or on a mounted "
            f"volume; got {location!r}. The images that it lists may be in a bucket."
        )


def require_path(option: str, path: str) -> None:
    """Checks that a path means the same on another machine; an empty one is not checked.

    Raises:
        ValueError: it is relative.
    """
    if path and not storage.is_remote(path) and not os.path.isabs(path):
        raise ValueError(
            f"{option} must be reachable from the cluster: a URL such as gs://BUCKET/PATH, or "
            f"an absolute path in the image or on a mounted volume; got {path!r}."
        )


def require_no_secret(texts: Iterable[str]) -> None:
    """Checks texts that will be stored in a file, in ML Metadata and in logs.

    Raises:
        ValueError: one seems to hold a password, token or key; the message does not repeat it.
    """
    for text in texts:
        if without_credentials(text) != text or _SECRET_ADDRESS.search(text):
            raise ValueError(f"a URL holds a user name and a password or a token. {_HOW_TO}")
        option, field = _SECRET_OPTION.search(text), _SECRET_FIELD.search(text)
        if option or field:
            kind, name = ("option", option[1]) if option else ("field", field[1])
            raise ValueError(f"the {kind} {name} would store a secret. {_HOW_TO}")
        if _SECRET_VALUE.search(text):
            raise ValueError(f"a text looks like a private key or an access token. {_HOW_TO}")


def with_values(words: Sequence[str]) -> Iterator[str]:
    """Yields "--name value" of each option whose value is a word of its own."""
    for name, value in itertools.pairwise(words):
        if name.startswith("-") and not value.startswith("-"):
            yield f"{name} {value}"


def strings(document: object) -> Iterator[str]:
    """Yields every string of a document of dicts and lists, at any depth, keys included."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for key, value in document.items():
            yield from strings(key)
            yield from strings(value)
    elif isinstance(document, (list, tuple)):
        for value in document:
            yield from strings(value)
