# Everything that is needed is fetched by name from package registries: uv, the locked environment, and the sources of the control plane.
# Nothing but Python (3.11 or newer), make and a network has to be there.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

UV_VERSION := 0.13.9
UV ?= $(or $(shell command -v uv 2>/dev/null),.tools/bin/uv)
PYTHON := .venv/bin/python
WORKERS ?= 2
PYTEST_ARGS ?=

.PHONY: help demo test test-host lint format crds bench image controlplane backends clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.tools/bin/uv:
	@echo "fetching uv $(UV_VERSION)"
	@mkdir -p .tools/bin
	@python3 -m venv .tools/python >/dev/null 2>&1 && .tools/python/bin/pip install -q --disable-pip-version-check "uv==$(UV_VERSION)" \
		&& ln -sf ../python/bin/uv .tools/bin/uv \
		|| { python3 -m pip install -q --disable-pip-version-check --target .tools/uv "uv==$(UV_VERSION)" && ln -sf ../uv/bin/uv .tools/bin/uv; }

.venv/.synced: pyproject.toml uv.lock | $(filter .tools/bin/uv,$(UV))
	@$(UV) sync --quiet --locked --all-extras
	@touch $@

controlplane: .venv/.synced ## Build etcd, the Kubernetes control plane and kubectl from their pinned Go modules (once)
	@$(PYTHON) -m keyturn_lab.controlplane build

backends: .venv/.synced ## Build the servers that tests rotate credentials of, where no wheel holds them (once)
	@$(PYTHON) -m keyturn_lab.go_programs keyturn_lab.backends.mysql_wire keyturn_lab.backends.mongo_wire

demo: controlplane ## Show one rotation live, on a lab on this machine; KEEP=1 leaves it running
	@$(PYTHON) -m keyturn_lab.demo $(if $(KEEP),--keep)

test: lint controlplane backends ## Run all checks and all tests that need nothing but package registries
	$(PYTHON) -m pytest -m "not host and not live" -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

test-host: controlplane ## Run the tests that need Terraform, Debian's servers, or the controller of Argo Rollouts
	@$(PYTHON) -P tests/support/debian.py
	@nice $(PYTHON) -m keyturn_lab.go_programs keyturn_lab.argo_rollouts & building=$$!; \
		trap 'kill $$building 2>/dev/null || true' EXIT; \
		$(PYTHON) -m pytest -m "host and not live" -n $(WORKERS) --dist loadfile $(PYTEST_ARGS) && wait $$building

lint: .venv/.synced ## Check style, types and import rules
	.venv/bin/ruff check
	.venv/bin/ruff format --check --quiet
	.venv/bin/mypy
	.venv/bin/lint-imports

format: .venv/.synced ## Format the code
	.venv/bin/ruff check --fix --quiet
	.venv/bin/ruff format

crds: .venv/.synced ## Write crds/, the chart's copies of them, and the API reference from the models
	$(PYTHON) -m keyturn.api.crd --write crds --reference docs/reference/api.md
	cp crds/*.yaml charts/keyturn/crds/

bench: controlplane ## Measure, and print the table of benchmarks/README.md
	$(PYTHON) -m benchmarks

image: ## Build the container image; PYTHON_DIGEST=sha256:... is the digest of the Python slim image to build on
	@test -n "$(PYTHON_DIGEST)" || { echo "say on which image to build: make image PYTHON_DIGEST=sha256:..." >&2; exit 1; }
	docker build --build-arg PYTHON_DIGEST=$(PYTHON_DIGEST) --tag keyturn:dev .

clean: ## Remove what was made here; the control plane's binaries stay in the user's cache
	rm -rf .venv .tools dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
