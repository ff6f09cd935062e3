# SPDX-License-Identifier: Apache-2.0
"""`mixer serve`: a development server with the REST and gRPC interface of TensorFlow Serving."""

from __future__ import annotations

import signal

import click

from mixer_tf.cli.command import Command
from mixer_tf.cli.options import expand_home

_PORT = click.IntRange(0, 65535)


@click.command(cls=Command)
@click.argument("model")
@click.option(
    "--rest-port",
    type=_PORT,
    default=8501,
    show_default=True,
    help="Port of the REST interface and the page; 0 for any free port.",
)
@click.option(
    "--grpc-port",
    type=_PORT,
    default=8500,
    show_default=True,
    help="Port of the gRPC interface; 0 for any free port.",
)
@click.option("--name", default="", help="Name of the model in requests. Default: the folder's.")
@click.option(
    "--host",
    default="localhost",
    show_default=True,
    help="Network interface to listen on; 0.0.0.0 for all.",
)
@click.option(
    "--batching-parameters-file",
    "batching_file",
    metavar="PATH",
    callback=expand_home,
    help="How concurrent requests become one batch; TensorFlow Serving's file of that name, as "
    "`mixer bench serving` writes it.",
)
def serve(model, rest_port, grpc_port, name, host, batching_file) -> None:
    """Serves an exported model on this machine, for development and tests.

    MODEL is a SavedModel, a folder of its versions, the root of a pipeline, or the output of `mixer
    train`. Requests and answers are those of TensorFlow Serving, and a version that is pushed
    replaces the one before. The page shows the classes of images that are dropped on it.

    It has no access control, TLS, limits or metrics: in production, let TensorFlow Serving serve
    the same folder. Ctrl-C ends it.

    \b
    Examples:
      mixer serve pets-model
      mixer serve runs/digits --rest-port=0 --grpc-port=0 --name=digits
      mixer predict pets-model photo.jpg --server=localhost:8501
    """
    from mixer_tf import storage
    from mixer_tf.serving.batching_parameters import BatchingParameters
    from mixer_tf.serving.server.model_server import ModelServer

    signal.signal(signal.SIGTERM, _stop)
    batching = (
        BatchingParameters.from_text(storage.read_text(batching_file)) if batching_file else None
    )
    with ModelServer(
        model,
        name=name,
        host=host,
        rest_port=rest_port,
        grpc_port=grpc_port,
        batching=batching,
        report=lambda line: click.echo(line, err=True),
    ) as server:
        _announce(server, host)
        server.wait()


def _announce(server, host: str) -> None:
    version = server.model.current().version
    address = f"[{host}]" if ":" in host else host  # of IPv6
    click.echo(f"model  {server.model.name}, version {version}")
    click.echo(f"page   http://{address}:{server.rest_port}/")
    click.echo(f"REST   http://{address}:{server.rest_port}/v1/models/{server.model.name}:predict")
    click.echo(f"gRPC   {address}:{server.grpc_port}")


def _stop(*_: object) -> None:
    """SIGTERM, which containers get, is the normal end: exit code 0."""
    raise SystemExit(0)
