# SPDX-License-Identifier: Apache-2.0
"""`mixer bench`: how fast models are, and how fast one is served, compared with the machine."""

from __future__ import annotations

import dataclasses
import itertools
import json
import sys

import click

from mixer_tf import storage
from mixer_tf.cli.bench_throughput import throughput
from mixer_tf.cli.command import Command
from mixer_tf.cli.options import expand_home, numbers_of
from mixer_tf.console import activity, format_table

_PARAMETERS = "batching_parameters.txt"


@click.group()
def bench() -> None:
    """Measures speed.

    \b
    Examples:
      mixer bench serving pets-model
      mixer bench throughput mixer_b16
    """


bench.add_command(throughput)


@bench.command(cls=Command)
@click.argument("model")
@click.option(
    "--batch-sizes",
    metavar="N1,N2,...",
    callback=numbers_of(minimum=1),
    default="1,8,32",
    show_default=True,
    help="Images in a request.",
)
@click.option(
    "--concurrency",
    metavar="N1,N2,...",
    callback=numbers_of(minimum=1),
    default="1,4,16",
    show_default=True,
    help="Clients that ask at the same time.",
)
@click.option("--seconds", type=click.FloatRange(0.1, 600), default=3.0, show_default=True)
@click.option(
    "--image",
    "paths",
    multiple=True,
    metavar="PATH",
    help="A photograph to send; may be repeated. Default: generated JPEGs of 640 x 480 pixels.",
)
@click.option(
    "--server",
    metavar="HOST:PORT",
    help="Measure this model server, REST or grpc://HOST:PORT; MODEL is then the name of the model "
    "there. Limits and batching are not measured.",
)
@click.option(
    "--output",
    metavar="PATH",
    callback=expand_home,
    help="Where the batching parameters that were best are written; an existing file is replaced. "
    f"Default: {_PARAMETERS}, which must be new.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as one JSON object.")
def serving(model, batch_sizes, concurrency, seconds, paths, server, output, as_json) -> None:
    """Measures requests per second and latency of a served model.

    Without --server, MODEL is a folder, which `mixer serve` serves in a process of its own. It is
    compared with the speed of decoding alone and of the plain model's forward pass alone on the
    same cores; "limit" is the speed of both after one another, in batches of the request's size.
    First, batching parameters are tried with requests of one image and with the largest of the
    --batch-sizes; the best are written for TensorFlow Serving's flag --batching_parameters_file,
    and all is measured with them. Clients run on the same machine, and take their part of its
    cores.

    \b
    Examples:
      mixer bench serving pets-model
      mixer bench serving pets --server=grpc://localhost:8500 --batch-sizes=1,32
    """
    if server and output:
        raise click.UsageError("--output has no effect with --server; leave it out.")
    parameters = None if server else _require_parameters_file(output)
    from mixer_tf.benchmarks import limits as limits_module

    images = [storage.read_bytes(path) for path in paths] or limits_module.photographs()
    table = dict(batch_sizes=batch_sizes, concurrency=concurrency, seconds=seconds)
    results = _of_server(server, model, images, table) if server else None
    if results is None:
        results = _of_folder(model, images, table, parameters, quiet=as_json)
    click.echo(json.dumps(results) if as_json else _to_text(results))


def _require_parameters_file(output: str | None) -> str:
    """Returns the path of the batching parameters, which can be written."""
    path = output or _PARAMETERS
    if not output and storage.exists(path):
        raise click.ClickException(f"{path} exists already; name a file with --output.")
    storage.require_writable(path, "--output")
    return path


def _of_server(address: str, model: str, images, table) -> dict:
    from mixer_tf.serving.client import Client

    with Client(address, model) as client:
        return {"measurements": _measure(client, images, **table)}


def _of_folder(model: str, images, table, output: str, quiet: bool) -> dict:
    from mixer_tf.benchmarks import batching, limits
    from mixer_tf.serving import locations
    from mixer_tf.serving.client import Client

    folder = locations.resolve_saved_model(model)
    sizes, seconds = table["batch_sizes"], table["seconds"]
    with activity("measuring decoding and the forward pass"):
        limit = limits.measure(folder, images, sizes, seconds)
    command = [sys.executable, "-m", __package__, "serve", folder]
    tried = []
    best = batching.find_best(
        command, images, max(sizes), seconds, lambda trial: tried.append(_tried(trial, quiet))
    )
    storage.write_text(output, best.parameters.to_text(_comment(best)))
    start_server = batching.running_server(command, best.parameters)
    with start_server as address, Client(address, batching.NAME) as client:
        measured = _measure(client, images, **table)
    return {
        "limits": dataclasses.asdict(limit),
        "measurements": [
            {**each, "of_limit": each["images_per_second"] / limit.both(each["batch_size"])}
            for each in measured
        ],
        "batching": {"tried": tried, "best": dataclasses.asdict(best.parameters), "file": output},
    }


def _measure(client, images, batch_sizes, concurrency, seconds) -> list[dict]:
    from mixer_tf.benchmarks import load

    found = []
    for size, clients in itertools.product(batch_sizes, concurrency):
        with activity(f"measuring {clients} clients with {size} images per request"):
            found.append(_to_dict(load.measure(client, images, size, clients, seconds)))
    return found


def _to_dict(measured) -> dict:
    return {**dataclasses.asdict(measured), "images_per_second": measured.images_per_second}


def _tried(trial, quiet: bool) -> dict:
    parameters = trial.parameters
    if not quiet:
        click.echo(
            f"max_execution_batch_size {parameters.max_execution_batch_size}, batch_timeout_micros "
            f"{parameters.batch_timeout_micros}, num_batch_threads {parameters.num_batch_threads}: "
            + "; ".join(map(_of_load, trial.measurements)),
            err=True,
        )
    return {
        "parameters": dataclasses.asdict(parameters),
        "measurements": [_to_dict(each) for each in trial.measurements],
    }


def _of_load(measured) -> str:
    images = f"{measured.batch_size} image{'' if measured.batch_size == 1 else 's'}"
    return (
        f"{measured.concurrency} clients with {images} per request: "
        f"{measured.images_per_second:,.1f} images/s, p99 {1000 * measured.p99:,.0f} ms"
    )


def _comment(trial) -> str:
    from mixer_tf import workers

    loads, cores = ",\n".join(map(_of_load, trial.measurements)), workers.count_processors()
    return (
        f"Written by `mixer bench serving`, measured with `mixer serve` on {cores} cores:"
        f"\n{loads}.\nMeasure again on the machine that serves."
    )


def _to_text(results: dict) -> str:
    limit = results.get("limits")
    header = ["images/request", "clients", "requests/s", "images/s", "p50 ms", "p99 ms"]
    rows = [
        [
            str(each["batch_size"]),
            str(each["concurrency"]),
            f"{each['requests_per_second']:,.1f}",
            f"{each['images_per_second']:,.1f}",
            f"{1000 * each['p50']:,.0f}",
            f"{1000 * each['p99']:,.0f}",
            *([f"{each['of_limit']:.0%}"] if limit else []),
        ]
        for each in results["measurements"]
    ]
    lines = [format_table([*header, *(["of limit"] if limit else [])], rows, left=0)]
    if limit:
        forward = ", ".join(
            f"{rate:,.1f} in batches of {size}" for size, rate in limit["forward"].items()
        )
        lines.insert(0, f"decode   {limit['decode']:,.1f} images/s\nforward  {forward}\n")
        lines.append(f"\nbatching parameters  {results['batching']['file']}")
    return "\n".join(lines)
