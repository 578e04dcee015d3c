# make demo   answers the paper's question on the synthetic fundus set
# make test   runs every test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: demo test test-beam conformance chaos exactness fuzz doctest lint format benchmark clean

demo: $(VENV)/installed-demo
	$(BIN)/python -m launch.study --flagfile=launch/experiments/demo.flags

# Two processes take a file each, in order: sorted by their number of tests, the
# files of the longest tests would be left to the end. Each grows to 5 GB. One
# that dies would be replaced, to die of the same test again.
test: $(VENV)/installed-test
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder \
	  --max-worker-restart=0 --durations=10

# Apache Beam brings older versions of what TensorFlow uses: an environment of
# its own.
test-beam: .venv-beam/installed
	.venv-beam/bin/python -m pytest tests/datasets/beam_test.py

# Every scheme on every model and variant; steps of training.
conformance: $(VENV)/installed-test
	$(BIN)/python -m pytest --full tests/conformance_test.py

# A run killed 26 times, in training and while files are written; workers killed.
chaos: $(VENV)/installed-test
	$(BIN)/python -m pytest --full --log-cli-level=INFO tests/chaos_test.py \
	  tests/launch/multi_worker_test.py

# Every model on two replicas, and compiled by XLA.
exactness: $(VENV)/installed-test
	$(BIN)/python -m pytest --full tests/exactness_test.py \
	  tests/training/xla_test.py

# 10,000 random and adversarial requests to each route of the TensorBoard tab.
fuzz: $(VENV)/installed-test
	$(BIN)/python -m pytest --full tests/tensorboard/fuzz_test.py

doctest: $(VENV)/installed-test
	$(BIN)/python -m pytest --doctest-modules transfusion_tf datasets \
	  --ignore-glob='*_dataset_builder.py'  # Registers under one name only.

lint: $(VENV)/installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed-lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: $(VENV)/installed-test
	$(BIN)/python -m tests.benchmarks.startup
	$(BIN)/python -m tests.benchmarks.training results/training.md
	$(BIN)/python -m tests.benchmarks.input_pipeline
	$(BIN)/python -m tests.benchmarks.preparation
	$(BIN)/python -m tests.benchmarks.opening
	$(BIN)/python -m tests.benchmarks.similarity
	$(BIN)/python -m tests.benchmarks.tensorboard
	$(BIN)/python -m tests.benchmarks.study
	$(BIN)/python -m tests.benchmarks.scaling results/scaling.md

clean:
	rm -rf $(VENV) .venv-beam build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache

# An environment is made anew whenever what it is made from has changed.
$(VENV)/created: setup.py pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "transfusion_tf needs Python 3.11, 3.12 or 3.13. Received: PYTHON=$(PYTHON), which is $$($(PYTHON) --version 2>&1). Name another one: make PYTHON=python3.12 demo"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make virtual environments (no ensurepip). On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/installed-%: $(VENV)/created
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[$*]'
	@touch $@

.venv-beam/installed: setup.py pyproject.toml
	rm -rf .venv-beam
	$(PYTHON) -m venv .venv-beam
	.venv-beam/bin/python -m pip install --disable-pip-version-check --quiet --editable '.[beam,test]'
	@touch $@
