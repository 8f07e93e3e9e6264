# What building and testing needs from the system.

.PHONY: deps deps-present
deps:
	@ops/install-deps

# Any other libraft stops the build.
deps-present:
	@pkg-config --exact-version=$(RAFT_VERSION) raft 2>/dev/null || { \
	  echo "libraft $(RAFT_VERSION) is needed, exactly: run 'make deps', which installs it from Debian's packages." >&2; exit 1; }
