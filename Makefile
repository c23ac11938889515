# Two commands: `make demo` runs the main job, `make test` checks everything. Each sets itself up in .venv.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

export RAY_AUTH_MODE ?= disabled
export RAY_USAGE_STATS_ENABLED ?= 0

.PHONY: demo weights test lint format lock clean

# make demo LYRICS="any words" sings these.
demo: $(READY)
	$(BIN)/autosing demo --out demo $(if $(LYRICS),--lyrics "$(LYRICS)")

# The models that come with autosing, from nothing: hours.
weights: $(READY)
	$(BIN)/python -m train.weights runs/weights

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Every package with its hash; no registry's address is written, so the lock serves any mirror.
lock: $(READY)
	echo "torch==2.11.0" | $(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--generate-hashes --no-header --constraint - --output-file requirements.lock

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 13) else f"python {v[0]}.{v[1]} found, 3.11 or 3.12 needed; run make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --requirement requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $(READY)

clean:
	rm -rf .venv demo
