# Tallystick. `make help` lists what there is; README.md says why.
#
# One makefile, no recursion: every object knows its headers (-MD: the generated ones count as system headers), every generated file lies in
# build/. Which object goes into which program is the "Programs" section and nowhere else.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

VERSION := 0.1.0

# ---- Where things go, and how they are compiled ----

SANITIZE ?= 0
ifeq ($(SANITIZE),1)
B := build/sanitize
SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else
B := build
SANITIZERS :=
endif
GEN := build/gen

CXX := g++
CLANG := clang
OPTIMIZE := -O2
# The lines of a backtrace. DEBUG=-g knows every variable as well, for half as long again in the compiler.
DEBUG ?= -g1
CXXFLAGS = -std=c++20 $(OPTIMIZE) $(DEBUG) -Wall -Wextra -Wno-missing-field-initializers -Werror -fPIE -fstack-protector-strong $(SANITIZERS)
CPPFLAGS := -I. -isystem $(GEN) -DTALLYSTICK_VERSION='"$(VERSION)"' -D_FORTIFY_SOURCE=2
LDFLAGS := -pie -Wl,-z,relro,-z,now -Wl,--as-needed -Wl,--build-id=sha1 $(SANITIZERS)

# Asked when first needed, not when the makefile is read: on a fresh machine the packages that
# answer are installed by this makefile.
pkg = $(shell pkg-config $(1))

AGENT_LIBS = $(call pkg,--libs libbpf protobuf-lite libnghttp2 expat simdjson) -lmbedtls -lmbedx509 -lmbedcrypto
CENTRAL_LIBS = $(call pkg,--libs protobuf-lite openssl libcurl)
AUDIT_LIBS = $(CENTRAL_LIBS) $(call pkg,--libs libmicrohttpd)
COLLECTOR_LIBS = $(call pkg,--libs grpc++ openssl libcurl) -lprotobuf-lite -lsoci_core -lsoci_sqlite3
TEST_LIBS = $(call pkg,--libs gtest)
# Messages are made by one thread of the collector and freed by another, which glibc's malloc makes dear
# (README, bench-ledger). Sanitizers bring an allocator of their own.
ifeq ($(SANITIZE),0)
COLLECTOR_MALLOC := -Wl,--no-as-needed -lmimalloc -Wl,--as-needed
endif

objects = $(patsubst %.cc,$(B)/obj/%.o,$(1))

# ---- Programs ----

PROTO := attest/statement attest/envelope attest/ledger
PROTO_CENTRAL := attest/explanation attest/bundle audit/state
PROTO_OBJ := $(PROTO:%=$(B)/obj/gen/%.pb.o)
PROTO_AGENT := agent/statement/baseline
GRPC_OBJ := $(B)/obj/gen/attest/ledger.grpc.pb.o

BASE := $(call objects,$(wildcard base/*.cc))
# attest/ is shared but for the two sides of the crypto seam; certificates are judged centrally, and
# witnesses' Ed25519 is OpenSSL's.
CENTRAL_ONLY := attest/admit.cc attest/explain.cc attest/key_cache.cc attest/cosignature.cc
ATTEST := $(call objects,$(filter-out attest/crypto_%.cc $(CENTRAL_ONLY),$(wildcard attest/*.cc))) $(PROTO_OBJ)
ATTEST_AGENT := $(ATTEST) $(call objects,attest/crypto_mbedtls.cc attest/crypto_sealing_mbedtls.cc)
ATTEST_CENTRAL := $(ATTEST) $(PROTO_CENTRAL:%=$(B)/obj/gen/%.pb.o) $(call objects,attest/crypto_openssl.cc attest/crypto_sealing_openssl.cc $(CENTRAL_ONLY))
AGENT := $(BASE) $(ATTEST_AGENT) $(PROTO_AGENT:%=$(B)/obj/gen/%.pb.o) $(call objects,$(filter-out agent/main.cc,$(wildcard agent/*.cc agent/*/*.cc agent/*/*/*.cc)))
# Judged centrally too: what an auditor should look at.
FINDINGS := $(call objects,$(wildcard findings/*.cc)) $(B)/obj/gen/findings/shipped_devices.o
COLLECTOR := $(BASE) $(ATTEST_CENTRAL) $(FINDINGS) $(GRPC_OBJ) $(call objects,$(filter-out collector/main.cc,$(wildcard collector/*.cc)))
AUDIT := $(BASE) $(ATTEST_CENTRAL) $(FINDINGS) $(call objects,$(filter-out audit/main.cc,$(wildcard audit/*.cc)))

PROGRAMS := $(B)/tallyd $(B)/tally-collector $(B)/tally

all: $(PROGRAMS) ## Build tallyd, tally-collector and tally into build/

$(B)/tallyd: $(AGENT) $(B)/obj/agent/main.o
	$(CXX) $(LDFLAGS) -o $@ $^ $(AGENT_LIBS)
$(B)/tally-collector: $(COLLECTOR) $(B)/obj/collector/main.o
	$(CXX) $(LDFLAGS) -o $@ $^ $(COLLECTOR_MALLOC) $(COLLECTOR_LIBS)
$(B)/tally: $(AUDIT) $(B)/obj/audit/main.o
	$(CXX) $(LDFLAGS) -o $@ $^ $(AUDIT_LIBS)

# ---- Generated: protobuf, gRPC, vmlinux.h, BPF skeletons ----

$(GEN)/%.pb.cc $(GEN)/%.pb.h: %.proto | $(GEN)/deps.stamp
	protoc -I. --cpp_out=lite:$(GEN) $<
$(GEN)/%.grpc.pb.cc $(GEN)/%.grpc.pb.h: %.proto | $(GEN)/deps.stamp
	protoc -I. --grpc_out=$(GEN) --plugin=protoc-gen-grpc=$$(command -v grpc_cpp_plugin) $<

BTF ?= /sys/kernel/btf/vmlinux
$(GEN)/vmlinux.h: | $(GEN)/deps.stamp
	bpftool btf dump file $(BTF) format c > $@

# All program families in one object, so that they share their maps.
BPF := $(wildcard bpf/*.bpf.c)
SKELETON := $(GEN)/bpf/tally.skel.h

$(GEN)/bpf/%.bpf.o: bpf/%.bpf.c $(GEN)/vmlinux.h
	@mkdir -p $(@D)
	$(CLANG) -target bpf -mcpu=v3 -g -O2 -Wall -Wextra -Wno-unused-parameter -Wno-unused-function -Werror \
	    -D__TARGET_ARCH_x86 -I. -isystem $(GEN) -MD -MP -MF $(@:.o=.d) -c $< -o $@
$(GEN)/bpf/tally.o: $(BPF:bpf/%.bpf.c=$(GEN)/bpf/%.bpf.o)
	bpftool gen object $@ $^
$(SKELETON): $(GEN)/bpf/tally.o
	bpftool gen skeleton $< name tally_bpf > $@
# Each source of work evidence has an object of its own: what is switched off is not even loaded.
WORK_SKELETONS := $(patsubst %.bpf.c,$(GEN)/%.skel.h,$(wildcard bpf/work/*.bpf.c))
$(GEN)/bpf/work/%.skel.h: $(GEN)/bpf/work/%.bpf.o
	bpftool gen skeleton $< name $*_bpf > $@

# The auditor's device table, built in.
$(GEN)/findings/shipped_devices.cc: config/devices.toml
	@mkdir -p $(@D)
	{ printf 'namespace tally { extern const char *const kShippedDevices; const char *const kShippedDevices = R"toml('; \
	  cat $<; echo ')toml"; }'; } > $@

GENERATED_HEADERS := $(PROTO:%=$(GEN)/%.pb.h) $(PROTO_CENTRAL:%=$(GEN)/%.pb.h) $(PROTO_AGENT:%=$(GEN)/%.pb.h) $(GEN)/attest/ledger.grpc.pb.h $(SKELETON) $(WORK_SKELETONS)
generate: $(GENERATED_HEADERS)

$(B)/obj/gen/%.o: $(GEN)/%.cc | $(GENERATED_HEADERS)
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) -w $(CPPFLAGS) -I$(GEN) -MD -MP -c $< -o $@

# What most files include is read once for all; each file still names what it uses. From headers read in advance g++ 12
# sees faults in std::string that are none, for it forgets the pragmas in them: whatever it objects to is judged again without.
COMMON_HEADERS := algorithm filesystem functional map memory optional set string vector attest/statement.pb.h
compile = $(CXX) $(CXXFLAGS) -include $(1) $(CPPFLAGS) -MD -MP -c $< -o $@ 2>/dev/null || \
    $(CXX) $(CXXFLAGS) $(CPPFLAGS) -MD -MP -c $< -o $@
# Without this, ccache would compile anew whatever reads such headers.
export CCACHE_SLOPPINESS ?= pch_defines,time_macros

$(B)/obj/common/programs.h:
	@mkdir -p $(@D)
	printf '#include <%s>\n' $(COMMON_HEADERS) > $@
$(B)/obj/common/tests.h:
	@mkdir -p $(@D)
	printf '#include <%s>\n' $(COMMON_HEADERS) gtest/gtest.h > $@
$(B)/obj/common/%.h.gch: $(B)/obj/common/%.h $(GEN)/attest/statement.pb.h
	$(CXX) $(CXXFLAGS) $(CPPFLAGS) -MD -MP -MF $(@:.gch=.d) -x c++-header -c $< -o $@

$(B)/obj/%.o: %.cc $(B)/obj/common/programs.h.gch | $(GENERATED_HEADERS)
	@mkdir -p $(@D)
	$(call compile,$(B)/obj/common/programs.h)
# Tests take longer to compile than to run, and what they measure is the programs' own code.
$(B)/obj/tests/%.o: tests/%.cc $(B)/obj/common/tests.h.gch | $(GENERATED_HEADERS)
	@mkdir -p $(@D)
	$(call compile,$(B)/obj/common/tests.h)
$(B)/obj/tests/%.o $(B)/obj/common/tests.h.gch: OPTIMIZE := -Og
$(B)/obj/tests/bench/%.o: private OPTIMIZE := -O2
# UBSan's vptr check needs type information that libsoci keeps to itself.
$(B)/obj/collector/index.o $(B)/obj/collector/days.o $(B)/obj/collector/found.o $(B)/obj/tests/unit/collector/index_test.o: CXXFLAGS += -fno-sanitize=vptr

# ---- Tests ----

test_objects = $(call objects,$(wildcard tests/unit/$(1)/*.cc tests/unit/support/*.cc))

UNIT_TESTS := $(addprefix $(B)/tests/unit-,base attest-mbedtls attest-openssl agent collector audit)
$(B)/tests/unit-base: $(call objects,$(wildcard tests/unit/base/*.cc) tests/unit/support/main.cc) $(BASE)
$(B)/tests/unit-attest-mbedtls: $(filter-out %_openssl_test.o,$(call test_objects,attest)) $(BASE) $(ATTEST_AGENT)
$(B)/tests/unit-attest-openssl: $(call test_objects,attest) $(BASE) $(ATTEST_CENTRAL)
$(B)/tests/unit-agent: $(call test_objects,agent) $(AGENT) $(GRPC_OBJ)
$(B)/tests/unit-collector: $(call test_objects,collector) $(COLLECTOR)
$(B)/tests/unit-audit: $(call test_objects,audit) $(AUDIT)
$(B)/tests/unit-attest-mbedtls $(B)/tests/unit-base: LIBS = $(AGENT_LIBS)
$(B)/tests/unit-attest-openssl: LIBS = $(CENTRAL_LIBS)
$(B)/tests/unit-audit: LIBS = $(AUDIT_LIBS)
$(B)/tests/unit-agent: LIBS = $(AGENT_LIBS) $(COLLECTOR_LIBS) -lprotobuf
$(B)/tests/unit-collector: LIBS = $(COLLECTOR_LIBS)

# Signs and verifies with one side of the seam, so that each side can be held against the other.
SEAM_TOOLS := $(B)/tests/seam-mbedtls $(B)/tests/seam-openssl
$(B)/tests/seam-mbedtls: $(B)/obj/tests/tools/seam.o $(BASE) $(ATTEST_AGENT)
$(B)/tests/seam-openssl: $(B)/obj/tests/tools/seam.o $(BASE) $(ATTEST_CENTRAL)
$(B)/tests/seam-mbedtls: LIBS = $(AGENT_LIBS)
$(B)/tests/seam-openssl: LIBS = $(CENTRAL_LIBS)

# Stands where NVIDIA's driver library would, for the uprobes on its functions.
STAND_IN := $(B)/tests/libcuda.so.1
$(STAND_IN): tests/tools/libcuda.c
	@mkdir -p $(@D)
	$(CLANG) -shared -fPIC -O2 -fno-omit-frame-pointer -Wall -Wextra -Werror -Wl,-soname,libcuda.so.1 -o $@ $<

# And its management library: as it is now, and as it was with few functions.
STAND_IN_NVML := $(B)/tests/libnvidia-ml.so.1 $(B)/tests/libnvidia-ml-old.so.1
$(B)/tests/libnvidia-ml-old.so.1: OLD = -DOLD
$(STAND_IN_NVML): tests/tools/libnvidia-ml.c
	@mkdir -p $(@D)
	$(CLANG) -shared -fPIC -O2 -Wall -Wextra -Werror $(OLD) -Wl,-soname,libnvidia-ml.so.1 -o $@ $<

$(B)/tests/unit-agent: | $(STAND_IN) $(STAND_IN_NVML)
SYSTEM_TESTS := $(B)/tests/system
$(SYSTEM_TESTS): | $(STAND_IN) $(STAND_IN_NVML)
$(B)/tests/system: $(call objects,$(wildcard tests/system/*.cc tests/system/*/*.cc)) $(AUDIT)
$(B)/tests/system: LIBS = $(AUDIT_LIBS) $(call pkg,--libs libbpf)

# Runs in the guests of tests/vm/boot.
VM_TESTS := $(B)/tests/vm
$(B)/tests/vm: $(call objects,$(wildcard tests/vm/*.cc) tests/system/attested.cc tests/system/lab.cc tests/system/passing.cc tests/unit/support/main.cc) $(AUDIT)
$(B)/tests/vm: LIBS = $(AUDIT_LIBS)

$(UNIT_TESTS) $(SYSTEM_TESTS) $(VM_TESTS) $(SEAM_TOOLS):
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LIBS) $(TEST_LIBS)

test-unit: $(UNIT_TESTS) $(SEAM_TOOLS) $(PROGRAMS) ## The rules of evidence and every room by itself; no root needed
	tests/run $(UNIT_TESTS)
test-system: $(SYSTEM_TESTS) $(PROGRAMS) ## Real BPF on this kernel, real TLS, real programs; needs root
	tests/run $(SYSTEM_TESTS)
test-conservation: $(SYSTEM_TESTS) $(PROGRAMS) ## A minute's storm of tenants per rung, against what they wrote down; needs root
	TALLY_STORM_SECONDS=$${TALLY_STORM_SECONDS:-60} GTEST_FILTER='*Conservation*' tests/run $(SYSTEM_TESTS)
test: $(UNIT_TESTS) $(SEAM_TOOLS) $(SYSTEM_TESTS) $(PROGRAMS) ## Everything that .ci/run checks but the demo
	BUILD=$(B) tests/run $(UNIT_TESTS) $(wildcard tests/check/*) $(SYSTEM_TESTS)

# The rungs that this machine's own kernel may refuse (kernel:rungs), and what a kernel can change: not
# how an audit judges, a daemon reads its configuration, or a storm's oracle counts.
VM_GUESTS ?= 6.1:exact,kprobe 6.12:exact
VM_FILTER ?= -Tamper.*:Daemon.*:StormOracle.*:OddNames.*
test-vm: $(SYSTEM_TESTS) $(VM_TESTS) $(PROGRAMS) ## The same under other kernels in QEMU, and VFIO with real guests; needs root
	config/install-packages config/packages-vm.txt
	TALLY_STORM_SECONDS=5 GTEST_FILTER='$(VM_FILTER)' tests/vm/all "$(VM_GUESTS)" $(SYSTEM_TESTS) $(VM_TESTS)

$(B)/tests/tlog-reader: tests/tlog/reader.go
	config/install-packages config/packages-tlog.txt
	@mkdir -p $(@D)
	GO111MODULE=off GOPATH=/usr/share/gocode go build -o $@ $<
$(B)/tests/tlog: $(call objects,$(wildcard tests/tlog/*.cc) tests/unit/collector/program.cc tests/unit/collector/support.cc $(wildcard tests/unit/support/*.cc)) $(COLLECTOR)
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(COLLECTOR_LIBS) $(TEST_LIBS)
test-tlog: $(B)/tests/tlog $(B)/tests/tlog-reader $(PROGRAMS) ## The log as golang.org/x/mod/sumdb reads it, which was not written for it
	tests/run $(B)/tests/tlog

test-kill: $(B)/tests/unit-collector $(PROGRAMS) ## SIGKILL the collector under load, 300 times (`make test` does it 20 times)
	TALLY_KILLS=300 $(B)/tests/unit-collector --gtest_filter='Kill.*'

# What a GPU alone can show; needs what `make` built and the driver.
GPU_CHECK := $(B)/tests/gpu-check
$(GPU_CHECK): $(call objects,$(wildcard tests/gpu/*.cc) tests/system/lab.cc tests/system/attested.cc) $(AUDIT)
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(AUDIT_LIBS) $(TEST_LIBS)
gpu-check: $(GPU_CHECK) $(PROGRAMS) ## A known CUDA load in two cgroups against what is recorded of it, on an NVIDIA GPU; needs root
	$(GPU_CHECK)

BENCH_TOOLS := $(B)/tests/calls $(B)/tests/crowd
$(BENCH_TOOLS): $(B)/tests/%: $(B)/obj/tests/bench/%.o
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^
$(B)/tests/fake-gpu: $(call objects,tests/bench/fake_gpu.cc tests/system/fake_driver.cc tests/system/lab.cc) $(BASE)
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(TEST_LIBS)
bench-record: $(PROGRAMS) $(BENCH_TOOLS) $(B)/tests/fake-gpu $(STAND_IN) $(B)/tests/unit-agent $(VM_TESTS) ## What being watched costs, here and in instructions under other kernels; needs root
	config/install-packages config/packages-vm.txt
	BUILD=$(B) tests/bench/record

BENCH_RIG := $(call objects,tests/bench/machine.cc tests/bench/ledger_sizes.cc tests/unit/collector/program.cc tests/unit/collector/support.cc tests/unit/support/keys.cc tests/unit/support/host.cc)
$(B)/tests/bench-ledger: $(call objects,tests/bench/ledger.cc tests/bench/ledger_load.cc) $(BENCH_RIG) $(COLLECTOR)
$(B)/tests/bench-audit: $(call objects,$(wildcard tests/bench/audit*.cc)) $(BENCH_RIG) $(COLLECTOR)
$(B)/tests/bench-ledger $(B)/tests/bench-audit:
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(COLLECTOR_LIBS) $(TEST_LIBS)
bench-ledger: $(PROGRAMS) $(B)/tests/bench-ledger ## What the collector takes end to end, beside what OpenSSL and the disk could
	$(B)/tests/bench-ledger
bench-audit: $(PROGRAMS) $(B)/tests/bench-audit ## What an auditor takes over a large fleet's log (ATTESTATIONS=100000), beside what OpenSSL could
	$(B)/tests/bench-audit
bench: bench-record bench-ledger bench-audit ## All benches

demo: $(PROGRAMS) ## Record two tenants on this machine and print the verified report; needs root
	BUILD=$(B) tests/demo

# ---- House keeping ----

LINTED = $(wildcard base/*.cc attest/*.cc agent/*.cc agent/*/*.cc agent/*/*/*.cc collector/*.cc findings/*.cc audit/*.cc)
CC_FILES = $(LINTED) $(wildcard tests/*/*.cc tests/*/*/*.cc)
FORMATTED = $(CC_FILES) $(wildcard base/*.h attest/*.h agent/*.h agent/*/*.h agent/*/*/*.h collector/*.h findings/*.h audit/*.h bpf/*.h bpf/*.c bpf/*/*.h bpf/*/*.c tests/*/*.h tests/*/*/*.h)

deps: ## Install the Debian packages that are missing (config/packages.txt)
	config/install-packages config/packages.txt
$(GEN)/deps.stamp: config/packages.txt
	@mkdir -p $(@D)/attest $(@D)/audit $(@D)/agent/statement $(@D)/bpf
	config/install-packages config/packages.txt
	@touch $@

format: ## Rewrite all sources in the house format
	clang-format -i $(FORMATTED)
format-check:
	clang-format --dry-run --Werror $(FORMATTED)
lint: $(GENERATED_HEADERS) format-check ## clang-format on everything, clang-tidy on the programs
	printf '%s\n' $(sort $(dir $(LINTED))) | sort -r | xargs -P 2 -I{} tests/tidy {} $(B)/tidy -std=c++20 $(CPPFLAGS)

clean: ## Remove build/
	rm -rf build

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo "  SANITIZE=1 with any of them: AddressSanitizer and UBSan, in build/sanitize/"

.PHONY: all generate test test-unit test-system test-conservation test-vm test-tlog test-kill gpu-check bench bench-record bench-ledger bench-audit demo deps format format-check lint clean help
.SECONDARY:

-include $(shell find $(B)/obj $(GEN) -name '*.d' 2>/dev/null)
