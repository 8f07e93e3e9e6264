# Bugs that the simulator must find: `make test-planted [SEEDS=1000] [CONTROL=40] [BUGS="DOUBLE_SEND ..."]`.
# PLANTED=1 is a build of its own, of which only the simulator links; what is shown by directed tests comes from this one.

PLANTED_BUILD := $(BUILD)-planted
GUARD_TESTS := $(BUILD)/tests/consensus/test_guards

.PHONY: test-planted
test-planted: $(GUARD_TESTS)
	@$(MAKE) --no-print-directory PLANTED=1 BUILD=$(PLANTED_BUILD) $(PLANTED_BUILD)/tests/sim/sim
	@tests/sim/planted-bugs $(PLANTED_BUILD)/tests/sim/sim $(GUARD_TESTS) --seeds $(or $(SEEDS),1000) --control $(or $(CONTROL),40) \
	    $(if $(BUGS),--only $(BUGS))
