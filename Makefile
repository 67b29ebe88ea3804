# Two commands do everything on a fresh machine: `make demo` and `make test`.
PY := .venv/bin/python
STAMP := .venv/.installed
MODULES := clients/typescript/node_modules/.installed
# Run a command, and repeat it after a pause if it fails, for example when the network is down for a moment.
AGAIN := @again() { for pause in 5 15 45; do "$$@" && return; \
	echo "failed; next attempt in $$pause seconds: $$*" >&2; sleep $$pause; done; \
	"$$@" || { echo "failed four times; check that the package registry is reachable: $$*" >&2; return 1; }; }; again

.PHONY: install demo test test-production lint typescript docs pictures bench faults chaos fuzz sbom image release-check clean

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	python3 -m venv .venv
	$(AGAIN) $(PY) -m pip install --quiet --disable-pip-version-check uv==0.13.9
	$(AGAIN) .venv/bin/uv pip install --system-certs --quiet --compile-bytecode --python $(PY) --require-hashes -r requirements.lock
	.venv/bin/uv pip install --system-certs --quiet --python $(PY) --no-deps --no-build-isolation -e .
	touch $(STAMP)

demo: install
	.venv/bin/placet demo

lint: install
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

# The tests start hundreds of processes, which would each compile all modules anew where no bytecode may be written.
# Two for each of two cores, as tests wait for outages and deadlines: three took a tenth longer.
test: export PYTHONDONTWRITEBYTECODE :=
test: lint
	sh tests/machine.sh
	.venv/bin/placet engine --find
	$(PY) -m pytest -n 4 --dist loadfile

# What `make test` does with 500 approvals, with CLUSTER of them: the engine's services apart and doubled on PostgreSQL.
test-production: export PYTHONDONTWRITEBYTECODE :=
test-production: install
	.venv/bin/placet engine --find
	PLACET_CLUSTER_APPROVALS=$(or $(CLUSTER),10000) $(PY) -m pytest -n 0 -s --timeout=0 tests/acceptance/test_cluster.py

# The types of the TypeScript client, from the OpenAPI document.
typescript: install $(MODULES)
	mkdir -p build
	.venv/bin/placet openapi > build/openapi.json
	npm --prefix clients/typescript run --silent generate -- ../../build/openapi.json -o src/schema.ts

$(MODULES): clients/typescript/package-lock.json
	$(AGAIN) npm ci --prefix clients/typescript --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

# The documentation as a site in build/site, which can be opened from the file system.
docs: install
	$(PY) -m docs.site

# The pictures of README and docs, from the browser tests.
pictures: install
	PLACET_PICTURES=docs/images $(PY) -m pytest -q -n 0 tests/acceptance/test_browser_pictures.py

bench: install
	$(PY) -m tests.bench $(BENCH)

# On a clean checkout, and once more on the tagged commit; TAG names a tag that is not there yet.
release-check: install
	$(PY) -m tests.release --demo $(if $(TAG),--tag $(TAG))

# SECONDS is how long; FIRST the first seed, so that another run plays other schedules. REPORT is a file that runs add to.
faults: install
	$(PY) -m tests.faults --seconds $(or $(SECONDS),600) --first $(or $(FIRST),0) --processes $(or $(PROCESSES),1) $(if $(REPORT),--report $(REPORT))

# Calls that nobody would write, as every role, for SECONDS; SEED is the first seed.
fuzz: install
	$(PY) -m tests.fuzz --seconds $(or $(SECONDS),600) --seed $(or $(SEED),0)

# What Placet runs with, and its licences: build/sbom.cdx.json (CycloneDX) and build/licences.txt.
sbom: install
	$(PY) -m tests.sbom build/sbom.cdx.json

# The image, built twice without a daemon and run with a read-only root: as root on Debian 12, with buildah and debootstrap.
image: install
	.venv/bin/placet engine --find
	$(PY) -m tests.image --twice

# Real processes under faults. SECONDS is for how long things go wrong, REQUESTS how many are asked for meanwhile.
chaos: install
	sh tests/machine.sh
	$(PY) -m tests.chaos --seed $(or $(SEED),0) --seconds $(or $(SECONDS),180) --requests $(or $(REQUESTS),600) \
		--every $(or $(EVERY),2.8) --at-once $(or $(AT_ONCE),12)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis clients/typescript/node_modules clients/typescript/dist
