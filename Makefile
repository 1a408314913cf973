# The only interface: CI and people call the same targets. `make help` lists them.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
# A process that compiles what it imports takes three times the time to start.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX ?= $(CURDIR)/$(VENV)/pycache

.DEFAULT_GOAL := help
.PHONY: help setup console console-types up demo open down status logs stop start backup restore upgrade downgrade kafka-groups clean \
	check coverage screenshots test test-unit test-contract test-integration test-e2e \
	test-console test-browser test-long test-compose chaos soak bench bench-memory \
	bench-growth bench-questions simulate eval lint measure format lock

##@ Use
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
up: setup console ## start Kafka, PostgreSQL and the services; prints the address of the API
	@$(PY) -m embedded up
demo: setup console ## start, ingest a small file and what can be reached, show the result
	@$(PY) -m embedded demo
down: setup ## stop everything that `make up` started; the data stays
	@$(PY) -m embedded down
open: setup ## the console in a browser, or an address that opens it once
	@$(PY) -m embedded open
status: setup ## the processes and their state
	@$(PY) -m embedded status
logs: setup ## the last lines of all logs, followed; S=loader for one service, F=0 to not follow
	@$(PY) -m embedded logs $(S)
stop: setup ## stop one service, the others go on: S=normalizer
	@$(PY) -m embedded stop $(S)
start: setup ## start a service that was stopped: S=normalizer
	@$(PY) -m embedded start $(S)
backup: setup ## the database and the configuration, while all runs: TO=folder
	@$(PY) -m embedded backup $(TO)
restore: setup ## put the database back, FROM=folder (asks in a terminal; elsewhere YES=1)
	@$(PY) -m embedded restore $(FROM) $(if $(YES),--yes)
upgrade: setup console ## back up, then let this version take over what an older one left
	@$(PY) -m embedded upgrade $(if $(YES),--yes)
downgrade: setup ## what a release before this needs: TO=0.2.0 (asks; elsewhere YES=1)
	@$(PY) -m embedded downgrade $(TO) $(if $(YES),--yes)
kafka-groups: setup ## Kafka's own kafka-consumer-groups; ARGS="--describe --all-groups"
	@$(PY) -m embedded kafka-groups $(ARGS)
clean: setup ## stop, and delete data, logs, caches (asks in a terminal; elsewhere YES=1)
	@$(PY) -m embedded clean $(if $(YES),--yes)
	@rm -rf console/node_modules console/dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* $(VENV)

##@ Develop
console: setup console/dist/index.html ## the console at /, built from console/
console/dist/index.html: $(shell find console -name node_modules -prune -o -name dist -prune -o -type f -print)
	@$(PY) console/build.py
console-types: setup ## the types of the console, from the OpenAPI document
	@$(PY) -m tools.openapi > console/openapi.json
	@cd console && npm run --silent types
	@$(PY) -m tools.openapi --digest >> console/src/api/schema.ts
test-console: setup console ## unit tests of the console
	@$(PY) console/build.py --test
setup: $(VENV)/.installed ## the virtual environment with locked dependencies
$(VENV)/.installed: requirements.lock pyproject.toml embedded/bootstrap.py
	@$(PYTHON) embedded/bootstrap.py
check: setup ## lint, types and unit tests, in less than a minute: what a commit needs
	@$(PY) -m ruff check . && $(PY) -m ruff format --check . && $(PY) -m mypy
	@$(PY) -m pytest -q -n 2 tests/unit
test: setup console test-console ## unit, contract, integration, end-to-end and browser tests
	@$(PY) -m pytest -n 2 --dist loadgroup --no-loadscope-reorder -m "not long" tests/unit tests/contract tests/integration tests/e2e tests/browser
coverage: setup ## how much of the code the tests of single services reach
	@$(PY) -m pytest -n 2 --dist loadgroup --no-loadscope-reorder tests/unit tests/contract tests/integration --cov --cov-report=term
test-unit: setup ## pure functions, no sockets
	@$(PY) -m pytest tests/unit
test-contract: setup ## messages, fakes against real parts, architecture
	@$(PY) -m pytest tests/contract
test-integration: setup ## each service on real Kafka and PostgreSQL
	@$(PY) -m pytest tests/integration
test-browser: setup console ## the console in a real browser, on the real stack
	@$(PY) -m pytest tests/browser
screenshots: setup console ## the pictures of docs/images
	@$(PY) -m tests.browser.pictures
test-e2e: setup ## the stack as `make up` starts it, with kills and outages
	@$(PY) -m pytest tests/e2e
test-long: setup ## what takes long: NAME=compose, chaos, soak, memory, growth, file, marked, page, scaling, cluster, secured, helm, beside, failover, partitions, replica, objects or back
	@case "$(NAME)" in \
	  compose) $(MAKE) --no-print-directory test-compose ;; \
	  chaos) $(MAKE) --no-print-directory chaos ROUNDS=1 ;; \
	  soak) $(MAKE) --no-print-directory soak ;; \
	  memory) $(MAKE) --no-print-directory bench-memory ;; \
	  growth) $(PY) -m pytest tests/long/test_growth.py ;; \
	  file) $(PY) -m pytest tests/long/test_real_file.py ;; \
	  marked) $(PY) -m pytest -m long tests/integration tests/e2e ;; \
	  page) $(PY) -m pytest -s tests/browser/speed.py ;; \
	  back) $(PY) -m pytest tests/long/test_put_back.py ;; \
	  cluster) $(PY) -m pytest tests/long/test_cluster.py ;; \
	  secured) $(PY) -m pytest tests/long/test_secured_kafka.py ;; \
	  beside) $(PY) -m pytest tests/long/test_side_by_side.py ;; \
	  partitions) $(PY) -m pytest tests/long/test_partitions.py ;; \
	  objects) $(PY) -m pytest tests/long/test_objects.py ;; \
	  replica) $(PY) -m pytest tests/long/test_read_replica.py ;; \
	  failover) $(PY) -m pytest tests/long/test_failover.py ;; \
	  helm) $(PY) -m pytest tests/long/test_helm.py ;; \
	  scaling) $(PY) -m pytest tests/long/test_scaling.py ;; \
	  *) echo "say which: make test-long NAME=compose, chaos, soak, memory, growth, file, marked, page, scaling, cluster, secured, helm, beside, failover, partitions, replica, objects or back" >&2; exit 2 ;; \
	esac
test-compose: setup ## the compose deployment, built, scaled and killed; skipped without Docker
	@$(PY) -m pytest tests/compose
chaos: setup ## break services while records flow, compare; ROUNDS=3 RECORDS=200000 SEED=7 BROKERS=3
	@$(PY) -m tests.chaos --rounds $(or $(ROUNDS),3) --records $(or $(RECORDS),200000) --brokers $(or $(BROKERS),1) $(if $(SEED),--seed $(SEED))
soak: setup ## everything at once under faults, HOURS=0.25 by default: memory, disk, latencies as a picture
	@$(PY) -m tests.chaos.soak --hours $(or $(HOURS),0.25)
bench: setup ## pipeline and API as a share of PostgreSQL alone; BENCH_CSV=file for other rows
	@$(PY) -m bench
eval: setup ## coins and sentiment in headlines, against plain VADER; ARGS=--wrong lists errors
	@$(PY) -m eval $(ARGS)
bench-memory: setup ## peak memory of each service for a file of 1 GB; BENCH_GB=0.2 for a smaller
	@$(PY) -m bench.memory
bench-questions: setup ## what questions about prices cost beside their SQL; ROWS=10000000 for more
	@ROWS=$(ROWS) $(PY) -m bench.questions
simulate: setup ## what 1, 2 and 4 instances do here beside a model, and what it says of more machines
	@$(PY) -m bench.simulate
bench-growth: setup ## cost of a record as the tables grow; ROWS=50000000, goes on when called again
	@ROWS=$(ROWS) $(PY) -m bench.growth
lint: setup ## ruff and mypy
	@$(PY) -m ruff check . && $(PY) -m ruff format --check . && $(PY) -m mypy
measure: setup ## how dense the code is, beside the targets
	@$(PY) -m tools.measure
format: setup ## let ruff format the code
	@$(PY) -m ruff check --fix . ; $(PY) -m ruff format .
lock: setup ## resolve requirements.lock again
	@$(VENV)/bin/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	  --generate-hashes --no-header -q -o requirements.lock --upgrade
