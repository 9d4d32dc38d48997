# Everything this project does to itself. `make` alone explains.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
# The project itself is installed from this folder, with the locked build back end.
SELF   := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
# Processes that tests are spread over: they wait for servers as much as they compute.
WORKERS ?= 3
KUBE_STORES := $(addprefix tests/kube/,test_backend_kubernetes.py backend_kubernetes test_faults.py test_kit.py \
               test_killed_writers.py test_two_writers.py test_vault_login.py)
KIT    := PYTHONPATH=tests/kube $(BIN)/python -m kit

.DEFAULT_GOAL := help
.PHONY: help demo dev test test-aws check format lint types imports unit contract e2e bench lock lock-check docs clean kube-build kube-up kube-down kube-demo kube kube-stores kube-pods lane-of-parts lane-of-the-whole bench-kube reliability soak flyte-clients contract-all wheels

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.users: requirements/users.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "secrets-svc needs Python 3.11 or later; say which: make PYTHON=python3.12")'
	@echo "making $(VENV) (once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) -r requirements/users.txt
	@$(SELF)
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.users
	@echo "adding the development tools (once)"
	@$(PIP) -r requirements/dev.txt
	@touch $@

# With BACKEND=vault or BACKEND=aws it needs their servers, which are among the development tools.
demo: $(VENV)/$(if $(BACKEND),.dev,.users) ## Show the main job on this machine; BACKEND=vault or aws: on those
	@BACKEND=$(BACKEND) $(BIN)/python tests/demo/demo.py

dev: $(VENV)/.dev ## Make .venv with the command .venv/bin/secret and all tools

test: check ## Format, lint, types, imports, then all tests (what CI runs)

# Then two lanes at once, each one thing after the other: tests wait for servers as much as they compute.
check: $(VENV)/.dev
	@$(MAKE) --no-print-directory lint types imports lock-check kube-build flyte-clients
	@$(MAKE) --no-print-directory --jobs 2 lane-of-parts lane-of-the-whole

lane-of-parts:
	@MAKEFLAGS= $(MAKE) --no-print-directory unit contract kube-stores

lane-of-the-whole:
	@MAKEFLAGS= $(MAKE) --no-print-directory kube-pods e2e

format: $(VENV)/.dev ## Rewrite the code's layout
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

lint: $(VENV)/.dev ## Layout and lint
	@echo "== format and lint"; $(BIN)/ruff format --check && $(BIN)/ruff check

# Outside the checkout, so that a new clone need not begin anew.
types: export MYPY_CACHE_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/secrets-svc/mypy
types: $(VENV)/.dev ## Types, for the oldest and the newest Python we support
	@echo "== types"; $(BIN)/mypy --python-version 3.11 && $(BIN)/mypy --python-version 3.14 \
		&& $(BIN)/mypy --python-version 3.10 -p secrets_svc.task

imports: $(VENV)/.dev ## The layers of ARCHITECTURE.md
	@echo "== import rules"; $(BIN)/lint-imports --no-logo

unit: $(VENV)/.dev ## Unit and architecture tests
	@echo "== unit tests"; $(BIN)/pytest -q -n $(WORKERS) tests/unit tests/architecture

contract: $(VENV)/.dev ## The contract suite over every backend but kubernetes, which kube-stores has
	@echo "== contract tests"; $(BIN)/pytest -q -n $(WORKERS) tests/contract

contract-all: $(VENV)/.dev kube-build ## The contract suite over every backend, in one run
	@$(BIN)/pytest -q tests/contract tests/kube/test_backend_kubernetes.py

test-aws: $(VENV)/.dev ## The contract suite in a real AWS account, if there are credentials
	@$(BIN)/python tests/support/aws_account.py

e2e: $(VENV)/.dev ## The whole service, as people use it
	@echo "== end to end"; $(BIN)/pytest -q -n $(WORKERS) tests/e2e

soak: $(VENV)/.dev ## Ten minutes of mixed faults; two writers race for a thousand rounds in every store
	@SOAK_SECONDS=600 SOAK_ROUNDS=1000 $(BIN)/pytest -q -s tests/e2e/test_soak.py tests/e2e/test_two_writers.py tests/kube/test_two_writers.py

bench: $(VENV)/.dev ## Measure; prints the tables of docs/benchmarks.md
	@PYTHONPATH=tests/support $(BIN)/python tests/bench/run.py

kube-build: $(VENV)/.users ## Build a real Kubernetes for tests, once: eight minutes or more
	@$(KIT) build

kube-up: $(VENV)/.users ## Start a cluster on this machine; as root with a node that runs pods
	@$(KIT) up

kube-down: $(VENV)/.users ## Stop it; nothing is left
	@$(KIT) down

kube-demo: $(VENV)/.users ## Show the main job on a real cluster; as root with pods that run
	@PYTHONPATH=tests/kube $(BIN)/python tests/kube/demo.py

kube: kube-build $(VENV)/.dev ## The service in a real cluster; as root with a node
	@echo "== two real clusters at once"; $(MAKE) --no-print-directory --jobs 2 --output-sync kube-stores kube-pods

# Each has a cluster of its own: they wait for theirs as much as they compute.
kube-stores: $(VENV)/.dev
	@echo "== Kubernetes as a store"; $(BIN)/pytest -q $(KUBE_STORES)

kube-pods: $(VENV)/.dev
	@echo "== the injector in a cluster"; $(BIN)/pytest -q tests/kube $(KUBE_STORES:%=--ignore=%)

reliability: $(VENV)/.dev ## Try every fault with every store; writes the table of docs/reliability.md
	@PYTHONPATH=tests/support:tests/kube $(BIN)/python tests/bench/reliability.py

bench-kube: $(VENV)/.dev ## Measure in a real cluster; as root
	@PYTHONPATH=tests/kube $(BIN)/python tests/kube/bench.py

flyte-clients: $(VENV)/.users ## Install Flyte's and Union's own clients for tests, outside the checkout, once
	@$(BIN)/python tests/support/flyte_clients.py

docs: $(VENV)/.dev ## Regenerate the generated pages
	@$(BIN)/python tests/support/render_docs.py

wheels: $(VENV)/.users ## Build both distributions into dist/: the service, and what tasks import
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist . secrets_svc/task

lock: $(VENV)/.dev ## Resolve the lock files anew (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet \
		--extra server --extra kubernetes --extra vault --extra aws --extra flyte pyproject.toml requirements/build.in -o requirements/users.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet \
		--extra server --extra kubernetes --extra vault --extra aws --extra flyte pyproject.toml requirements/dev.in -c requirements/users.txt -o requirements/dev.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet \
		requirements/flyte-clients.in -o requirements/flyte-clients.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet \
		requirements/task-image.in -o requirements/task-image.txt

lock-check: $(VENV)/.dev ## Whether the users' lock can be installed on 3.11 to 3.14 (asks the registry, once)
	@echo "== lock files"; $(BIN)/python tests/support/check_locks.py

clean: ## Remove what was made here
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
