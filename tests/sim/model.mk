# The model's own tests stand on a real machine in memory.
$(patsubst %.c,$(BUILD)/%,$(wildcard tests/sim/judge/test_model*.c tests/sim/judge/test_invariants.c)): $(BUILD)/tests/sim/judge/model_stand.o
# What holds of held alerts is looked at in their unit test, too.
$(BUILD)/tests/unit/test_machine_suppression: $(BUILD)/tests/sim/judge/invariants_held.o
