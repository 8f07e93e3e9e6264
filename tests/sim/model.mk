# The model's own tests stand on a real machine in memory.
$(addprefix $(BUILD)/tests/sim/judge/,test_model test_model_random test_invariants): $(BUILD)/tests/sim/judge/model_stand.o
# What holds of held alerts is looked at in their unit test, too.
$(BUILD)/tests/unit/test_machine_suppression: $(BUILD)/tests/sim/judge/invariants_held.o
