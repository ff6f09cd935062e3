# SPDX-License-Identifier: Apache-2.0
"""Apache Flink on this machine, for the data steps of the pipeline: `python -m pipeline.flink`."""
