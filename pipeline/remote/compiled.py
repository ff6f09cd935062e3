# SPDX-License-Identifier: Apache-2.0
"""Compiled files as they are read again, and the values of a run's parameters. Imports no TFX."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shlex
from collections.abc import Iterator, Mapping

import yaml

from mixer_tf.messages import did_you_mean
from mixer_tf.recipes.schema import Recipe
from pipeline.remote import checks


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A compiled file.

    Attributes:
        target: "kfp-v1", "kfp-v2" or "vertex".
        document: the workflow, the pipeline spec or the pipeline job.
        platform: what only Kubernetes understands, of a kfp-v2 file; may be empty.
    """

    target: str
    document: dict
    platform: dict

    @classmethod
    def read(cls, path: str) -> Compiled:
        """Reads a file.

        Raises:
            ValueError: the file was not written by `pipeline.kubeflow_runner`.
        """
        text = pathlib.Path(path).read_text(encoding="utf-8")
        try:
            documents = list(yaml.safe_load_all(text))
        except yaml.YAMLError as error:
            raise ValueError(f"{path} is neither YAML nor JSON: {error}") from None
        document = documents[0] if documents and isinstance(documents[0], dict) else {}
        platform = documents[1] if len(documents) > 1 else {}
        for target, field in (("kfp-v1", "spec"), ("vertex", "pipelineSpec"), ("kfp-v2", "root")):
            if field in document:
                found = cls(target, document, platform)
                if found._has_recipe():
                    return found
        raise ValueError(
            f"{path} must be a compiled pipeline; it has none with a Trainer. Write it with python "
            "-m pipeline.kubeflow_runner."
        )

    @property
    def name(self) -> str:
        if self.target == "kfp-v1":
            return self.document["metadata"]["generateName"].rstrip("-")
        return self._spec["pipelineInfo"]["name"]

    @property
    def parameters(self) -> dict[str, str]:
        """Name of each run-time parameter → its default."""
        if self.target == "kfp-v1":
            given = self.document["spec"]["arguments"]["parameters"]
            return {parameter["name"]: parameter["value"] for parameter in given}
        declared = self._spec["root"]["inputDefinitions"]["parameters"]
        return {name: parameter["defaultValue"] for name, parameter in declared.items()}

    @property
    def trainer_config(self) -> dict:
        """The custom_config of the Trainer."""
        return self._config("Trainer")

    @property
    def tuner_config(self) -> dict | None:
        """The custom_config of the Tuner; None for a file without one."""
        return self._config("Tuner")

    @property
    def recipe(self) -> Recipe:
        """The recipe that the file was compiled with."""
        return Recipe.from_json(self.trainer_config["recipe"])

    def _has_recipe(self) -> bool:
        try:
            return bool(self.name and self.parameters and self.trainer_config["recipe"])
        except (KeyError, TypeError, ValueError, AttributeError):  # a file of another program
            return False

    @property
    def _spec(self) -> dict:
        return self.document.get("pipelineSpec", self.document)

    def _config(self, step: str) -> dict | None:
        texts = checks.strings(list(self._graphs(step)))
        found = (text for text in texts if text.startswith("{") and '"recipe"' in text)
        return next(map(json.loads, found), None)

    def _graphs(self, step: str) -> Iterator[dict]:
        """Where the parameters of a step are; nothing if there is no such step."""
        if self.target != "kfp-v1":
            yield self._spec["root"]["dag"]["tasks"].get(step, {})
            return
        for template in self.document["spec"]["templates"]:
            if template["name"] == step.lower():
                arguments = template["container"]["args"]
                yield json.loads(arguments[arguments.index("--tfx_ir") + 1])["nodes"]


@dataclasses.dataclass(frozen=True)
class Run:
    """What to start, as it was asked for.

    Attributes:
        name: the name of the run.
        values: name of each run-time parameter → its value.
        experiment: id of an experiment of Kubeflow; None for the default one.
        service_account: the account of the steps; None for the default one.
    """

    name: str
    values: Mapping[str, str]
    experiment: str | None = None
    service_account: str | None = None

    @property
    def root(self) -> str:
        return next(self.values[name] for name in checks.ROOTS.values() if name in self.values)


def choose_values(compiled: Compiled, options: dict) -> dict[str, str]:
    """Returns the value of each run-time parameter: the one that was given, or the default.

    Raises:
        ValueError: an unknown parameter, a field that the recipe does not have, or a secret.
    """
    values = dict(compiled.parameters)
    given = dict(_split(text) for text in options["parameters"])
    root = checks.ROOTS[compiled.target]
    shorthand = {"source": options["source"], root: options["root"]}
    if options["overrides"]:
        shorthand["overrides"] = shlex.join(options["overrides"])
    given |= {name: value for name, value in shorthand.items() if value}
    for name in given:
        if name not in values:
            hint = did_you_mean(name, values, most=1)
            raise ValueError(
                f"the file has no run-time parameter {name!r}.{hint} It has {', '.join(values)}."
            )
    recipe = compiled.recipe.override(shlex.split(given.get("overrides", "")))
    checks.require_no_secret(given.values())
    values |= given
    checks.require_source("--source", values["source"])
    checks.require_root(values[root], compiled.target)
    checks.require_serving_dir(values.get("serving_dir", ""), compiled.target)
    checks.require_weights(recipe.model.weights)
    return values


def _split(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--param must be NAME=VALUE; got {text!r}.")
    return name, value
