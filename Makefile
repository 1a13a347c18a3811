# SPDX-License-Identifier: Apache-2.0
# A thin front for CMake: `make`, `make test`, `make demo` on a fresh Debian 12 machine, nothing else
# needed. RELEASE=1 leaves the simulator and every other insecure_ option out.
BUILD   ?= build
RELEASE ?= 0
SIMULATOR = $(if $(filter 1,$(RELEASE)),OFF,ON)

all: build

deps:
	@scripts/deps.sh

build: deps
	@cmake -S . -B $(BUILD) -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCLO_SIMULATOR=$(SIMULATOR) >$(BUILD).configure.log 2>&1 || { cat $(BUILD).configure.log; rm -f $(BUILD).configure.log; exit 1; }
	@rm -f $(BUILD).configure.log
	@cmake --build $(BUILD)

test: build
	@tests/run.sh $(BUILD)

demo: build
	@$(BUILD)/cloister demo

# What continuous integration runs besides the tests.
check:
	@.ci/run

clean:
	rm -rf $(BUILD)

.PHONY: all deps build test demo check clean
