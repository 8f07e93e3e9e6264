# The simulator: `make sim SEEDS=1000 [FIRST_SEED=1] [PROFILE=storm|nights]`, `make sim SEED=42 TRACE=1`; a short run is part of `make test`.

SIM_SOURCES := $(filter-out $(wildcard tests/sim/*/test_*.c tests/sim/*/*_stand.c),$(wildcard tests/sim/*/*.c))
SIM_OBJECTS := $(SIM_SOURCES:%.c=$(BUILD)/%.o)
SIM_SUPPORT := $(patsubst %,$(BUILD)/tests/support/%.o,raft_checks decoded_rows plain_cron)
SIM := $(BUILD)/tests/sim/sim
# Documents and records are made and freed all the time, and glibc's malloc was a seventh of a run. Sanitizers bring their own.
SIM_ALLOCATOR := $(if $(SANITIZE),,-lmimalloc)

$(patsubst %.c,$(BUILD)/%,$(wildcard tests/sim/*/test_*.c)): $(SIM_OBJECTS)

$(SIM): $(BUILD)/tests/sim/main.o $(SIM_OBJECTS) $(SIM_SUPPORT) $(LIBRARY)
	@echo '  LINK    $@'
	$(Q)$(CC) $(ALL_LDFLAGS) $^ $(PKG_LIBS) $(SIM_ALLOCATOR) -o $@

.PHONY: sim
sim: deps
	@$(MAKE) --no-print-directory sim-built

.PHONY: sim-program sim-built
sim-program: $(SIM)

sim-built: $(SIM)
	@$(SIM) $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),100) --first-seed $(or $(FIRST_SEED),1)) \
	    --profile $(or $(PROFILE),storm) $(if $(TRACE),--trace) $(if $(FAILURES),--failures $(FAILURES))

# Of `make test`: as many seeds as some twenty seconds hold, fewer where instruments slow them down.
SIM_TEST_STORMS := $(if $(SANITIZE),16,80)
SIM_TEST_NIGHTS := $(if $(SANITIZE),2,20)

.PHONY: test-sim
test-built: test-sim
test-sim: $(SIM)
	@$(SIM) --again tests/sim/seeds
	@$(SIM) --seeds $(SIM_TEST_STORMS)
	@$(SIM) --seeds $(SIM_TEST_NIGHTS) --profile nights
