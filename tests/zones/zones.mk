# Zone files against Python's zoneinfo: a sample in `make test`, all of them by `make test-zones`.

ZONES_ASK := $(BUILD)/tests/zones/ask

$(ZONES_ASK): $(BUILD)/tests/zones/ask.o $(LIBRARY)
	@echo '  LINK    $@'
	$(Q)$(CC) $(ALL_LDFLAGS) $^ $(PKG_LIBS) -o $@

.PHONY: test-zones test-zones-sample
test-built: test-zones-sample
test-zones-sample: $(ZONES_ASK)
	@tests/zones/compare --build $(BUILD)

test-zones: deps
	@$(MAKE) --no-print-directory $(ZONES_ASK)
	@tests/zones/compare --build $(BUILD) --all
