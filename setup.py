# SPDX-License-Identifier: Apache-2.0
"""Packaging of the library `mixer_tf`; `components` and `pipeline` run from a checkout."""

import pathlib
import re

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).parent

PIPELINE = [
    "apache-beam[gcp]>=2.62,<2.63",
    "scikit-learn>=1.3",
    "tensorflow-datasets>=4.9.4,<4.10",
    "tfx[kfp]>=1.15.1,<1.16",
]
REFERENCES = ["flax>=0.10,<0.11", "jax>=0.4.34,<0.5", "optax>=0.2.5"]
ONNX = ["onnx>=1.16,<1.18", "onnxruntime>=1.18", "tf2onnx>=1.16.1"]
# 2.15.1 and later call the tool tensorflow_stats of TensorFlow 2.15 by another name.
PROFILER = ["tensorboard-plugin-profile>=2.15,<2.15.1"]
TEST = ["pytest>=8", "pytest-timeout>=2.3", "pytest-xdist>=3.6", "ruff>=0.6"]


def version() -> str:
    source = (ROOT / "mixer_tf" / "version.py").read_text(encoding="utf-8")
    return re.search(r'__version__ = "(.+?)"', source).group(1)


setup(
    name="mixer-tf",
    version=version(),
    description="MLP-Mixer in Keras, from a folder of images to a served model",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.11",
    packages=find_packages(include=["mixer_tf", "mixer_tf.*"]),
    package_data={
        "mixer_tf.deduplication.pair_page": ["page.html", "page.css", "page.js"],
        "mixer_tf.serving.server": ["page.html"],
    },
    install_requires=[
        "click>=8.1",
        "numpy>=1.23,<2",
        "pillow>=10.1",
        "safetensors>=0.8",
        "scipy>=1.10",
        "tensorboard>=2.15,<2.16",
        "tensorflow>=2.15,<2.16",
        "tensorflow-addons>=0.23,<0.24",
        "tensorflow-serving-api>=2.15,<2.16",
    ],
    extras_require={
        "pipeline": PIPELINE,
        "plots": ["matplotlib>=3.7"],
        "onnx": ONNX,
        "references": REFERENCES,
        "test": TEST,
        "profiler": PROFILER,
        "all": [*PIPELINE, "matplotlib>=3.7", *ONNX, *REFERENCES, *PROFILER, *TEST],
    },
    entry_points={"console_scripts": ["mixer = mixer_tf.cli:main"]},
)
