# Everything is installed into .venv in the checkout. `make help` lists the targets.
PYTHON ?= python3
RUN_FLAGS ?= --board wt32-eth01 --capture build/run.pcapng
PYTEST_FLAGS ?=
# Many tests wait for a board's serial line: more of them than there are processors.
WORKERS ?= 4
PYTEST := .venv/bin/pytest
PARALLEL := -n $(WORKERS) --dist loadfile
MICROPYTHON_FLAG := $(if $(MICROPYTHON),--micropython $(MICROPYTHON))

.DEFAULT_GOAL := help
.PHONY: help setup run test test-all soak bench size frames lint bootstrap-run bootstrap-dev bootstrap-bench

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "  RUN_SECONDS=15 make run      end by itself 15 s after the page is first served"
	@echo "  SOAK=0.05 make soak          a twentieth of each long test"
	@echo "  MICROPYTHON=PATH make run    use this MicroPython interpreter"
	@echo "  PYTHON=python3.12 make setup make .venv with this Python (3.11 or newer)"

setup: bootstrap-dev  ## install the run-only and development packages into .venv

bootstrap-run bootstrap-dev bootstrap-bench: bootstrap-%:
	@command -v $(PYTHON) >/dev/null || \
	  { echo "viperip: no $(PYTHON) here: install Python 3.11 or newer" >&2; exit 1; }
	@$(PYTHON) host_tools/bootstrap.py run $(filter-out run,$*)

run: bootstrap-run  ## run the demo board: a MicroPython web server on its own TCP/IP
	@mkdir -p build
	@exec .venv/bin/viperip sim $(RUN_FLAGS) $(MICROPYTHON_FLAG)

lint: bootstrap-dev  ## ruff, and mypy for host tools, tests and firmware
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/mypy --config-file host_tools/mypy_firmware.ini

test: lint  ## lint and every test that needs no root (at most 5 minutes)
	$(PYTEST) $(PARALLEL) -m "not soak" $(PYTEST_FLAGS)

test-all: lint  ## CI: everything, as root; what cannot run is a failure (at most 20 minutes)
	.venv/bin/python -m viperip_host.unix32
	.venv/bin/python -m viperip_host.qemu
	.venv/bin/python -m viperip_host.hostap
	.venv/bin/python -m viperip_host.rv32
	VIPERIP_TEST_ALL=1 $(PYTEST) $(PARALLEL) -m "not soak" $(PYTEST_FLAGS)

soak: bootstrap-dev  ## the long tests (as root, about 40 minutes)
	$(PYTEST) -m soak --timeout 7200 $(PYTEST_FLAGS)

bench: bootstrap-dev bootstrap-bench  ## speed of the stack beside PyTCP (as root)
	.venv/bin/python -m tests.bench

size: bootstrap-dev  ## sizes of the compiled modules, and the heap they take
	.venv/bin/python -m viperip_host.size

frames: bootstrap-dev  ## the functions that take heap at every call (none of the packet path may)
	.venv/bin/python -m viperip_host.frames
