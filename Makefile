# make demo         what the device does, with the usual tools, on a temporary mount
# make test         all tests but those of virtual machines
# make attach       libtagmem, for programs that were written for MTE, into .build/tagmem, and the programs that test it
# make guest        a Linux guest whose memory is on a temporary mount
# make test-guest   tests of virtual machines
#
# They install what is missing (with apt-get). The others: test-suites, bench, latency, asan, tsan, stress, soak,
# fuzz, format, lint, install, clean.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build

PREFIX ?= /usr/local
STRESS_SECONDS ?= 30
SOAK_SECONDS ?= 60
FUZZ_SECONDS ?= 600

.PHONY: build demo test attach guest test-guest test-suites bench latency asan tsan stress soak fuzz format lint install clean \
    dependencies

# The Swift library goes into the program: it then needs libfuse3 and the C library alone.
build: dependencies
	swift build -c release --product tagmemd --static-swift-stdlib -Xlinker -s

demo: build
	Scripts/demo .build/release/tagmemd

# Most tests wait in a thread for programs, and there are as many threads as processors: a test that is begun and gets no
# thread would run out of its time. So few are begun at once, where swift test can do that.
WIDTH = $(shell swift test --help-hidden | grep experimental-maximum-parallelization-width >/dev/null && \
    echo --experimental-maximum-parallelization-width 4)

# Attached programs take all that the processors have, and other tests measure how long something waits: so those come last.
test: dependencies attach
	swift build --build-tests
	swift test --skip-build --skip GuestTests --skip AttachTests $(WIDTH)
	swift test --skip-build --filter AttachTests $(WIDTH)

# libtagmem, and the programs that test it. It is for x86-64: other processors have no use for it, or have MTE.
attach: dependencies
	if [ "$$(uname -m)" = x86_64 ]; then $(MAKE) -j$$(nproc) -C Tests/Attach; fi

guest: build
	Scripts/guest
	Scripts/run-guest .build/release/tagmemd

# Virtual machines that run on a device, with what Scripts/guest makes for them.
test-guest: dependencies
	Scripts/guest --gdb
	swift build --build-tests
	swift test --skip-build --filter GuestTests

# The MTE tests of Linux and QEMU, and KASAN's, as they are. Builds a kernel; see Documentation/GUESTS.md.
test-suites: build
	Scripts/guest-suites

bench: build
	Scripts/guest
	Benchmarks/run
	if [ "$$(uname -m)" = x86_64 ]; then $(MAKE) -C Sources/CTagMem && Benchmarks/attach/run; fi
	swift run -c release --package-path Benchmarks/Core core-bench

# What a read waits for beside large changes and thousands of readers that wait. The tests do the same in a small way.
latency: build
	swift build --product tagmem-client
	Scripts/latency .build/release/tagmemd .build/debug/tagmem-client

# The sanitizers: all tests but those that mount, then stressed mounts.
asan: export LSAN_OPTIONS = suppressions=$(CURDIR)/Tests/lsan.supp
asan: dependencies
	swift test --sanitize=address --scratch-path .build-asan --skip EndToEndTests
	swift build --product tagmem-client
	Scripts/stress .build-asan/debug/tagmemd .build/debug/tagmem-client $(STRESS_SECONDS)
	Scripts/soak .build-asan/debug/tagmemd .build/debug/tagmem-client $(STRESS_SECONDS)

tsan: dependencies
	swift test --sanitize=thread --scratch-path .build-tsan --skip EndToEndTests
	swift build --product tagmem-client
	Scripts/stress .build-tsan/debug/tagmemd .build/debug/tagmem-client $(STRESS_SECONDS)
	Scripts/soak .build-tsan/debug/tagmemd .build/debug/tagmem-client $(STRESS_SECONDS)

# STRESS_SECONDS a mode of all kinds of access to the same few pages, checked against a model.
stress: build
	swift build --product tagmem-client
	Scripts/stress .build/release/tagmemd .build/debug/tagmem-client $(STRESS_SECONDS)

# SOAK_SECONDS a device of objects that grow, shrink, turn and go, mapped by many. TAGMEMD_SEED repeats a run.
soak: build
	swift build --product tagmem-client
	Scripts/soak .build/release/tagmemd .build/debug/tagmem-client $(SOAK_SECONDS)

# FUZZ_SECONDS of device trees that nobody would write. What fails is left in Tests/Fuzz/.build/crash-…
FUZZ_BUILD := Tests/Fuzz/.build
fuzz: dependencies
	swift build -c release --package-path Tests/Fuzz --sanitize=fuzzer -Xswiftc -sanitize=fuzzer,address
	mkdir -p $(FUZZ_BUILD)/corpus
	$(FUZZ_BUILD)/release/fuzz-device-tree -max_total_time=$(FUZZ_SECONDS) -max_len=8192 -timeout=10 -print_final_stats=1 \
	    -artifact_prefix=$(FUZZ_BUILD)/ $(FUZZ_BUILD)/corpus Tests/Fuzz/Seeds Tests/TagMemDeviceTreeTests/Fixtures

format:
	swift format -i -r Package.swift Sources Tests

lint:
	swift format lint --strict -r Package.swift Sources Tests

install: build
	install -D -m 0755 .build/release/tagmemd $(DESTDIR)$(PREFIX)/bin/tagmemd
	if [ "$$(uname -m)" = x86_64 ]; then $(MAKE) -C Sources/CTagMem install PREFIX=$(PREFIX) DESTDIR=$(DESTDIR); fi

clean:
	rm -rf --one-file-system .build .build-asan .build-tsan .guest Benchmarks/.build $(FUZZ_BUILD)

dependencies:
	@Scripts/install-dependencies
