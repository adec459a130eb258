# Every target works from a fresh clone: what it needs it installs (a virtual environment, Go tools into the cache folder,
# Debian packages when root). `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules
# Tests start Python hundreds of times: compiling everything each time would cost more than the operator's own start.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/pytest

.PHONY: help
help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 14

$(STAMP): pyproject.toml requirements/dev.txt
	@command -v $(PYTHON) >/dev/null || { echo "python3 (3.11 or newer) is needed: install it, or set PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/it" >&2; exit 1; }
	@echo "installing the virtual environment into $(VENV) …" >&2
	@$(PYTHON) -m venv $(VENV) || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -qq -y python3-venv && $(PYTHON) -m venv $(VENV); }
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.3'
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: venv
venv: $(STAMP) ## Install everything Python into .venv

.PHONY: tools
tools: $(STAMP) ## Build the control plane, the judges and the labs' engines into the cache folder (once, from half an hour on 2 quiet cores)
	@command -v openssl >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -qq -y openssl; } \
		|| { echo "openssl is needed: install it with your package manager" >&2; exit 1; }
	@{ command -v ip && command -v iptables && command -v ipset && command -v nft; } >/dev/null || { [ "$$(id -u)" = 0 ] \
		&& apt-get update -qq && apt-get install -qq -y iproute2 iptables ipset nftables; } \
		|| echo "NO POLICY WILL BE ENFORCED in tests: install iproute2, iptables, ipset and nftables, and run them as root" >&2
	@$(BIN)/python -m lab build >&2

.PHONY: demo
demo: $(STAMP) ## See a pipeline fenced in on a real control plane (ARGS=--once cleans up afterwards)
	@$(BIN)/python -m lab.demo $(ARGS)

.PHONY: test
test: check tools ## Run everything: the checks, the tests of many examples, those on a real control plane and with the judges
	@$(PYTEST) -q -n auto --dist worksteal -m "thorough and not oracle" tests
	@$(PYTEST) --cluster-required -n 2 --dist loadfile -m "cluster or oracle or tools or enforcement" tests

.PHONY: proof
proof: tools ## See what a sample declares beside what engines, the kernel and Envoy enforce (ARGS=--all, ARGS="-o json"; root for all)
	@$(BIN)/python -m lab.proof $(ARGS)

.PHONY: mesh
mesh: tools ## Let real sidecars judge the mesh objects, and istiod convert those of the ambient mesh (needs root)
	@$(PYTEST) --cluster-required tests/enforcement/test_mesh_lab.py tests/enforcement/test_ambient_lab.py

.PHONY: soak
soak: tools ## Try properties and judges with twenty times as many worlds, others each time (hours; ARGS="-k host_names", ARGS=--hypothesis-seed=N to repeat one)
	@$(PYTEST) -q --cluster-required --hypothesis-profile=soak $(ARGS) tests/properties

.PHONY: mutate
mutate: $(STAMP) ## Put deliberate faults into the compilers; each must be noticed, seven of them also in the kernel, at sidecars and for ztunnel (about 10 minutes on 2 cores; ARGS='--suites golden,properties,judges', ARGS=--enforced)
	@PYTHONPATH=operator:. $(BIN)/python -m tests.mutation $(ARGS)

.PHONY: check
check: lint type ## Format, lint, types, import contracts, generated files in step, unit and golden tests (about 2 minutes on 2 cores)
	@$(PYTEST) -q -n auto --dist worksteal -m "not cluster and not oracle and not tools and not enforcement and not thorough" tests

.PHONY: fmt
fmt: $(STAMP) ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix-only --quiet .

.PHONY: lint
lint: $(STAMP) ## Check format, style and import contracts
	@$(BIN)/ruff format --check --quiet . || { echo "run 'make fmt'" >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@PYTHONPATH=operator $(BIN)/lint-imports --no-cache | tail -n 3

.PHONY: type
type: $(STAMP) ## Check types
	@$(BIN)/mypy

.PHONY: golden
golden: $(STAMP) ## Rewrite the golden files, the outputs shown in the docs and the list of decisions; review the diff
	@$(PYTEST) -q tests/golden --update-golden
	@PYTHONPATH=operator:. $(BIN)/python -m tests.unit.spec.docs_pages
	@$(BIN)/python -m tests.unit.house.decisions

.PHONY: crds
crds: $(STAMP) ## Regenerate the CRDs and the reference tables from the models
	@$(BIN)/python -m pipesegment.spec.crd crds
	@$(BIN)/python -m pipesegment.spec.reference docs/spec/v1alpha1
	@$(BIN)/python -m pipesegment.lint.page > docs/lint.md

.PHONY: chart
chart: crds ## Bring the chart's CRDs, manifests/install.yaml and what the operator knows of its admission policies in step
	@$(BIN)/python charts/render.py

.PHONY: bench
bench: tools ## Measure convergence beside the floor (ARGS="--sizes 100,500,1000")
	@$(BIN)/python -m bench.converge $(ARGS)

.PHONY: clean
clean: ## Remove what the targets made in this folder (the cache of built tools stays)
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
