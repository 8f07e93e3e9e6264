# Tocsin. `make` builds, `make test` proves, `make demo` shows; README.md has the rest.
#
# SANITIZE=address,undefined or SANITIZE=thread builds the same targets with that instrumentation, in a directory of their own;
# PLANTED=1 builds the simulator with mistakes to be found (consensus/machine/planted.h), likewise.

SHELL := /bin/bash
# V=1 shows the commands.
Q := $(if $(V),,@)
MAKEFLAGS += --no-builtin-rules

SANITIZE ?=
PLANTED ?=
comma := ,
BUILD := build$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))$(if $(PLANTED),-planted)

PREFIX ?= /usr/local
DESTDIR ?=

# What the product links, and what only its unit tests link.
LIBRARIES := libuv lmdb jansson libcurl libmicrohttpd libprotobuf-c gnutls nettle inih libical
TEST_LIBRARIES := cmocka
# The guards read fields of libraft's public structs: exactly this version, no other.
RAFT_VERSION := 0.22.1

CC ?= cc
CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings \
            -Wformat=2 -Wundef -Wvla -Werror
SANITIZE_FLAGS := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer)
PKG_CFLAGS = $(shell pkg-config --cflags $(LIBRARIES) raft)
PKG_LIBS = $(shell pkg-config --libs $(LIBRARIES) raft)
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE $(if $(PLANTED),-DTOCSIN_PLANTED) $(WARNINGS) $(CFLAGS) -fstack-protector-strong $(SANITIZE_FLAGS) -pthread \
             -I. -I$(BUILD)/generated $(PKG_CFLAGS)
ALL_LDFLAGS = $(LDFLAGS) $(SANITIZE_FLAGS) -pthread

MAINS := node/tocsind.c node/tocsin.c
SOURCES := $(filter-out $(MAINS),$(sort $(shell find consensus storage notify node -name '*.c')))
GENERATED := $(patsubst %.proto,$(BUILD)/generated/%.pb-c,$(wildcard consensus/machine/schema/*.proto))
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(GENERATED:%=%.o)
LIBRARY := $(BUILD)/libtocsin.a
PROGRAMS := $(patsubst node/%.c,$(BUILD)/%,$(wildcard $(MAINS)))

# A test program is one file tests/**/test_*.c with a main; all share the support files of tests/support. What else a folder of tests needs stands
# in a tests/*/*.mk of its own: more prerequisites of its programs, more steps of `make test`.
SUPPORT := $(wildcard tests/support/*.c)
TESTS := $(wildcard tests/*/test_*.c tests/*/*/test_*.c)
TEST_PROGRAMS := $(TESTS:%.c=$(BUILD)/%)
BENCH_PROGRAMS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench/*.c))

.PHONY: build
build: $(PROGRAMS)

.PHONY: programs-for-tests
programs-for-tests: $(PROGRAMS) $(TEST_PROGRAMS)

include ops/deps.mk

$(BUILD)/generated/%.pb-c.c $(BUILD)/generated/%.pb-c.h &: %.proto | deps-present
	@mkdir -p $(BUILD)/generated
	@echo '  PROTOC  $<'
	$(Q)protoc-c --c_out=$(BUILD)/generated $<

$(GENERATED:%=%.o): %.o: %.c $(GENERATED:%=%.h)
	@echo '  CC      $<'
	$(Q)$(CC) $(filter-out -Wpedantic,$(ALL_CFLAGS)) -MMD -MP -c $< -o $@

$(BUILD)/%.o: %.c $(GENERATED:%=%.h) | deps-present
	@mkdir -p $(@D)
	@echo '  CC      $<'
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(LIBRARY): $(OBJECTS)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(BUILD)/tocsind $(BUILD)/tocsin: $(BUILD)/%: $(BUILD)/node/%.o $(LIBRARY)
	@echo '  LINK    $@'
	$(Q)$(CC) $(ALL_LDFLAGS) $^ $(PKG_LIBS) -o $@

# Prerequisites of folders' own come behind the library in $^, and need it behind them.
$(TEST_PROGRAMS): $(BUILD)/%: $(BUILD)/%.o $(SUPPORT:%.c=$(BUILD)/%.o) $(LIBRARY)
	@echo '  LINK    $@'
	$(Q)$(CC) $(ALL_LDFLAGS) $(filter %.o,$^) $(LIBRARY) $(PKG_LIBS) $(shell pkg-config --libs $(TEST_LIBRARIES)) -o $@

$(BENCH_PROGRAMS): $(BUILD)/%: $(BUILD)/%.o $(LIBRARY)
	@echo '  LINK    $@'
	$(Q)$(CC) $(ALL_LDFLAGS) $^ $(PKG_LIBS) -o $@

# ---- proving and showing: each works as the first command on a bare machine

.PHONY: test test-built test-unit test-process
test: deps
	@$(MAKE) --no-print-directory test-built

test-built: test-unit test-process

# Each test program runs; the first that fails ends it.
test-unit: programs-for-tests
	@set -e; for program in $(abspath $(sort $(TEST_PROGRAMS))); do echo "  TEST    $${program##*/tests/}"; $$program; done

include $(sort $(wildcard tests/*/*.mk))

test-process: programs-for-tests
	@TOCSIN_BUILD=$(abspath $(BUILD)) tests/process/run

.PHONY: demo
demo: deps
	@$(MAKE) --no-print-directory build
	@ops/demo --build $(BUILD)

.PHONY: bench bench-built
bench: deps
	@ops/install-deps bench
	@$(MAKE) --no-print-directory bench-built

bench-built: $(PROGRAMS) $(BENCH_PROGRAMS)
	@python3 tests/bench/run --build $(BUILD)

.PHONY: install
install: build
	install -D -m 755 $(BUILD)/tocsind $(DESTDIR)$(PREFIX)/sbin/tocsind
	install -D -m 755 $(BUILD)/tocsin $(DESTDIR)$(PREFIX)/bin/tocsin
	install -D -m 644 ops/tocsind.service $(DESTDIR)$(PREFIX)/lib/systemd/system/tocsind.service
	install -D -m 644 ops/tocsind.conf.example $(DESTDIR)$(PREFIX)/share/doc/tocsin/tocsind.conf.example

.PHONY: clean
clean:
	rm -rf build build-*

.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
