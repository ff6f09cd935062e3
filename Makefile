# SPDX-License-Identifier: Apache-2.0
# `make` alone lists what can be made.

PYTHON := .venv/bin/python
# One process for each core; each takes up to 3 GB.
PYTEST := $(PYTHON) -m pytest -q -n logical --maxprocesses=4 --dist loadfile

# Without compiled modules every process starts several seconds later.
unexport PYTHONDONTWRITEBYTECODE
# What another environment's shell may hold, and what would mix its packages with ours.
unexport PYTHONHOME PYTHONPATH

.PHONY: help setup demo bench flink-embedded flink-cluster tensorboard test test-slow test-all lint clean

help:  ## list what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 23

setup:  ## prepare .venv with Python 3.10 and the locked packages
	@./bin/setup

demo: setup  ## the whole pipeline on 1,797 handwritten digits
	@$(PYTHON) -m pipeline.local_runner --source=digits

# What the data steps read on Flink; more options of the local runner may follow.
FLINK := --source=digits --to=Preprocessor --root=runs/flink

flink-embedded: setup  ## the data steps on Apache Flink, in one process; FLINK=… for other options
	@$(PYTHON) -m pipeline.flink run -- $(FLINK)

flink-cluster: setup  ## the same on a cluster of several processes on this machine
	@$(PYTHON) -m pipeline.flink run --cluster -- $(FLINK)

# The port of `make tensorboard`; 0 for any free one.
PORT := 6006

tensorboard: setup  ## the logs of all trainings in runs/; PORT=6007 for another port
	@TF_CPP_MIN_LOG_LEVEL=3 .venv/bin/tensorboard --logdir runs --port $(PORT)

bench: setup  ## measure speed on this machine, and write the tables of docs/speed.md
	@$(PYTHON) -m benchmarks

test: lint  ## the tests, without the slow ones
	@$(PYTEST) -m "not slow"

# In parts, because the memory of a process grows with every model that it compiles; Flink comes
# first, so that no limit on the time leaves it out. pytest's 5 means that no test is marked as slow.
FLINK_TESTS := tests/pipeline/test_flink.py
SLOW_PARTS := $(FLINK_TESTS) "tests/models tests/recipes" tests/training \
	"tests --ignore=tests/models --ignore=tests/recipes --ignore=tests/training --ignore=$(FLINK_TESTS)"
# Tests that have not started after MINUTES, if it is given, are skipped.
UNTIL := $(if $(MINUTES),--until=$$(($$(date +%s) + 60 * $(MINUTES))))
SLOW := $(PYTEST) -rs -m "slow and not long" $$until
test-slow: setup  ## the slow tests alone, without those of several minutes
	@until=$(UNTIL); for part in $(SLOW_PARTS); do $(SLOW) $$part || [ $$? -eq 5 ] || exit 1; done

test-all: lint  ## every test
	@$(PYTEST)

lint: setup  ## formatting, and what ruff finds
	@$(PYTHON) -m ruff format --check . && $(PYTHON) -m ruff check .

clean:  ## remove the environment and what was built; runs/ stays
	rm -rf .venv .tools build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
