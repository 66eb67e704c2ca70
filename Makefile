# SPDX-License-Identifier: Apache-2.0
#
# Nuanxin: build, run, test. `make help` lists what there is.
# BUILD=dir builds elsewhere; SAN=asan|tsan|fuzz builds under a sanitizer (in build/asan …); V=1 shows the commands.

SAN    ?=
RELEASE ?= 0.5.0
BUILD  ?= build$(if $(SAN),/$(SAN))
HTTP   ?= 127.0.0.1:8080
EDGE   ?=
VAR    ?= var
STORE  ?=
PREFIX ?= /usr/local
MEMBERS ?= 20000
SECONDS_EACH ?= 60
MINUTES ?= 30

ifeq ($(origin CC),default)
CC      := gcc
endif
PKGS    := libzmq libprotobuf-c hiredis libevent libevent_pthreads libevent_openssl openssl libsodium jansson sqlite3 libpq zlib libcurl libqrencode
LLHTTP  := /usr/share/llhttp
CFLAGS  ?= -O2 -g
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
CPPFLAGS += -D_GNU_SOURCE -I. -I$(BUILD)/gen -isystem /usr/share/include/llhttp $(PKG_CFLAGS)
WARN    := -Wall -Wextra -Werror -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wno-format-nonliteral -Wundef -Wwrite-strings
LDFLAGS += -Wl,--as-needed
LDLIBS  += $(PKG_LIBS) -lpthread -lm
ifeq ($(SAN),asan)
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
else ifeq ($(SAN),tsan)
SANFLAGS := -fsanitize=thread -fno-omit-frame-pointer
else ifeq ($(SAN),fuzz)
CC       := clang
SANFLAGS := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
WARN     += -Wno-error
endif
COMPILE = $(CC) -std=gnu17 $(CFLAGS) $(SANFLAGS) $(WARN) $(CPPFLAGS) -MMD -MP -fno-strict-aliasing
LINK    = $(CC) $(SANFLAGS) $(LDFLAGS)

# One short line a step; V=1 shows the whole command instead; make -s says nothing.
Q       := $(if $(V),,@)
SILENT  := $(findstring s,$(firstword -$(MAKEFLAGS)))
say     = $(if $(V)$(SILENT),,$(info $1 $2))$(Q)

# --- what there is -------------------------------------------------------------------------------------
PROTOS   := $(sort $(shell find proto -name '*.proto'))
WKT      := google/protobuf/any.proto google/protobuf/timestamp.proto google/protobuf/duration.proto google/protobuf/field_mask.proto google/protobuf/empty.proto google/protobuf/descriptor.proto
SERVICES := $(sort $(notdir $(patsubst %/main.c,%,$(wildcard services/*/main.c))))
COMMON_C := $(sort $(wildcard common/*/*.c))
PBC_C    := $(patsubst proto/%.proto,$(BUILD)/gen/%.pb-c.c,$(PROTOS)) $(patsubst %.proto,$(BUILD)/gen/%.pb-c.c,$(WKT))
CONTRACT_C := $(addprefix $(BUILD)/gen/contract/,contract.c openapi.c asyncapi.c docs.c)
PBC_H    := $(PBC_C:.c=.h)
LIB      := $(BUILD)/libnuanxin.a
BINS     := $(foreach s,$(SERVICES),$(BUILD)/bin/$(if $(filter cli,$s),nuanxin,nuanxin-$s))
TOOLS_C  := $(wildcard deploy/*/main.c)
TOOLS    := $(patsubst deploy/%/main.c,$(BUILD)/bin/nuanxin-%,$(TOOLS_C))
SUBSCRIBER := $(BUILD)/subscribers/subscriber
AGENCY_LIB := $(BUILD)/libnuanxin-subscriber.a
UNIT     := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/*_test.c))

.PHONY: help run demo all test unit hosts chaos lint bench capacity soak fuzz lock deps install clean programs unit-programs print-cppflags
.DEFAULT_GOAL := all
.SECONDARY:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:

# Unless make was given -j itself, on all cores.
BUILD_ALL = $(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc)) all

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 8

run: ## build and run the stack with Hunan's organisations: HTTP=127.0.0.1:8080 EDGE=127.0.0.1:9080 VAR=var STORE=
	@deploy/install-deps && $(BUILD_ALL) && exec $(BUILD)/bin/nuanxin-runner --samples --http '$(HTTP)' --var '$(VAR)' $(if $(EDGE),--edge '$(EDGE)') $(if $(STORE),--store '$(STORE)')

demo: ## drive a 5·29 rush against the stack and prove the counts: MEMBERS=20000 HTTP= VAR=
	@deploy/install-deps && $(BUILD_ALL) && exec $(BUILD)/bin/nuanxin-demo --http '$(HTTP)' --var '$(VAR)' --members '$(MEMBERS)'

all: $(BINS) $(TOOLS) $(SUBSCRIBER) ## build everything: V=1 shows the commands, SAN=asan|tsan builds under a sanitizer

test: ## everything that must hold, as `tests/run` does; ends with `N passed, N failed`
	@deploy/install-deps --test && exec tests/run

unit: $(UNIT) ## the unit tests only
	@set -e; for t in $(UNIT); do $$t; done

hosts: ## several hosts as network namespaces (root): each part killed, frozen, cut off, slowed down, moved; some minutes
	@deploy/install-deps --hosts && $(BUILD_ALL) && NX_HOSTS_ALL=1 tests/scenario/test_hosts_faults.py && exec tests/hosts/patroni.py

chaos: ## 200,000 events under kill -9 of every process, 16 agencies over four transports: each has what it may see; some minutes
	@deploy/install-deps --test && $(BUILD_ALL) && NX_LONG=1 exec tests/scenario/test_stream_chaos.py

lint: ## style, layering, names
	@exec tests/lint/run

bench: ## the figures of the README, as ratios taken in one run
	@deploy/install-deps --bench && $(BUILD_ALL) && exec tests/bench/run

capacity: ## put what the last bench measured into deploy/CAPACITY.md, worked out for a province and for the country
	@exec deploy/capacity --write

soak: ## half of the maximum for MINUTES=30, and whether all stays flat: curves in build/soak.svg; STORE=postgresql
	@deploy/install-deps --test && $(BUILD_ALL) && exec tests/bench/soak.py '$(MINUTES)' '$(or $(STORE),sqlite)'

fuzz: ## fuzz every parser: SECONDS_EACH=60
	@deploy/install-deps --test && exec tests/fuzz/run '$(SECONDS_EACH)'

lock: $(BUILD)/gen/contract.binpb $(BUILD)/bin/contract-compiler ## promise what is new in the contract: rewrites proto/contract.lock
	$(Q)$(BUILD)/bin/contract-compiler --descriptors $< --lock proto/contract.lock --update-lock

deps: ## install what building and running needs (apt; says what it does)
	@deploy/install-deps

install: all ## put binaries and systemd units in place: PREFIX=/usr/local DESTDIR=
	$(Q)install -d $(addprefix '$(DESTDIR)$(PREFIX)'/,bin lib/systemd/system lib/sysusers.d lib/tmpfiles.d share/doc/nuanxin/subscribers \
	    include/nuanxin share/nuanxin/programmes share/nuanxin/calendar)
	$(Q)install -m 755 $(BINS) '$(DESTDIR)$(PREFIX)/bin/'
	$(Q)for unit in deploy/systemd/*.service deploy/systemd/*.socket deploy/systemd/*.target; do \
	    sed 's|/usr/local/|$(PREFIX)/|' $$unit >'$(DESTDIR)$(PREFIX)'/lib/systemd/system/$${unit##*/} || exit 1; done
	$(Q)install -m 644 deploy/systemd/sysusers.conf '$(DESTDIR)$(PREFIX)/lib/sysusers.d/nuanxin.conf'
	$(Q)install -m 644 deploy/systemd/tmpfiles.conf '$(DESTDIR)$(PREFIX)/lib/tmpfiles.d/nuanxin.conf'
	$(Q)install -m 644 README.md deploy/README.zh-CN.md deploy/HOSTS.md deploy/CAPACITY.md deploy/systemd/nuanxin-gateway-tls.conf '$(DESTDIR)$(PREFIX)/share/doc/nuanxin/'
	$(Q)install -m 644 $(AGENCY_LIB) '$(DESTDIR)$(PREFIX)/lib/'
	$(Q)install -m 644 common/subscriber/subscriber.h '$(DESTDIR)$(PREFIX)/include/nuanxin/'
	$(Q)install -m 644 deploy/subscribers/* '$(DESTDIR)$(PREFIX)/share/doc/nuanxin/subscribers/'
	$(Q)install -m 644 services/care/programmes/*.json '$(DESTDIR)$(PREFIX)/share/nuanxin/programmes/'
	$(Q)install -m 644 services/care/calendar/*.json '$(DESTDIR)$(PREFIX)/share/nuanxin/calendar/'
	$(Q)cd proto && find . -name '*.proto' -exec install -D -m 644 '{}' '$(abspath $(DESTDIR)$(PREFIX))/share/nuanxin/proto/{}' ';'

clean: ## remove what was built
	rm -rf build

# For tests/run and tests/lint: all programs that the tests start; how a header compiles alone.
unit-programs: $(UNIT)
programs: unit-programs $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/http/*.c tests/json/*.c) tests/fault/store_worker.c) $(BUILD)/tests/fault/lossy.so
print-cppflags:
	@echo $(CPPFLAGS)

# --- generated -----------------------------------------------------------------------------------------
$(BUILD)/gen/google/protobuf/%.pb-c.c $(BUILD)/gen/google/protobuf/%.pb-c.h: /usr/include/google/protobuf/%.proto
	@mkdir -p $(BUILD)/gen
	$(call say,PROTOC-C,$<)protoc-c -I/usr/include --c_out=$(BUILD)/gen $<
$(BUILD)/gen/%.pb-c.c $(BUILD)/gen/%.pb-c.h: proto/%.proto
	@mkdir -p $(BUILD)/gen
	$(call say,PROTOC-C,$<)protoc-c -Iproto -I/usr/include --c_out=$(BUILD)/gen $<

$(BUILD)/gen/contract.binpb: $(PROTOS)
	@mkdir -p $(BUILD)/gen
	$(call say,PROTOC,$@)protoc -Iproto -I/usr/include --include_imports --include_source_info --descriptor_set_out=$@ $(PROTOS)

# The compiler may use base and the descriptor's own classes only: it makes what the rest is built from.
COMPILER_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard proto/compiler/*.c) $(wildcard common/base/*.c)) \
	$(BUILD)/gen/google/protobuf/descriptor.pb-c.o $(BUILD)/gen/nuanxin/options.pb-c.o $(BUILD)/gen/nuanxin/problem.pb-c.o $(BUILD)/gen/google/api/http.pb-c.o
$(BUILD)/bin/contract-compiler: $(COMPILER_OBJ)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(LINK) -o $@ $^ $(LDLIBS)
$(CONTRACT_C) &: $(BUILD)/gen/contract.binpb $(BUILD)/bin/contract-compiler $(wildcard proto/contract.lock proto/compiler/page/*)
	@mkdir -p $(BUILD)/gen/contract
	$(call say,CONTRACT,$(@D))$(BUILD)/bin/contract-compiler --descriptors $< --lock proto/contract.lock --page proto/compiler/page --release '$(RELEASE)' --out $(BUILD)/gen/contract
	@touch $(CONTRACT_C)

# --- objects -------------------------------------------------------------------------------------------
$(BUILD)/llhttp/%.o: $(LLHTTP)/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CFLAGS) $(SANFLAGS) -w -DLLHTTP_STRICT_MODE=1 -isystem /usr/share/include/llhttp -c -o $@ $<
$(BUILD)/gen/%.o: $(BUILD)/gen/%.c | $(PBC_H)
	$(call say,CC,$<)$(CC) -std=gnu17 $(CFLAGS) $(SANFLAGS) -w $(CPPFLAGS) -MMD -MP -c -o $@ $<
# Generated headers must stand before anything that may include them is compiled; the compiler itself needs fewer.
$(BUILD)/common/base/%.o: common/base/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(COMPILE) -c -o $@ $<
$(BUILD)/proto/compiler/%.o: proto/compiler/%.c | $(PBC_H)
	@mkdir -p $(@D)
	$(call say,CC,$<)$(COMPILE) -c -o $@ $<
$(BUILD)/%.o: %.c | $(PBC_H) $(CONTRACT_C)
	@mkdir -p $(@D)
	$(call say,CC,$<)$(COMPILE) -c -o $@ $<

LIB_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(COMMON_C)) $(PBC_C:.c=.o) $(CONTRACT_C:.c=.o) \
	$(patsubst $(LLHTTP)/%.c,$(BUILD)/llhttp/%.o,$(wildcard $(LLHTTP)/*.c))
$(LIB): $(LIB_OBJ)
	@rm -f $@
	$(call say,AR,$@)ar rcsD $@ $^

define SERVICE_RULE
$(BUILD)/bin/$(if $(filter cli,$1),nuanxin,nuanxin-$1): $(patsubst %.c,$(BUILD)/%.o,$(wildcard services/$1/*.c)) $(LIB)
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)$$(LINK) -o $$@ $$^ $$(LDLIBS)
# A service's schema files are assembled into the object that lists them.
$(patsubst %.c,$(BUILD)/%.o,$(wildcard services/$1/*.c)): $(wildcard services/$1/schema/*.sql)
endef
$(foreach s,$(SERVICES),$(eval $(call SERVICE_RULE,$s)))
define TOOL_RULE
$(BUILD)/bin/nuanxin-$1: $(patsubst %.c,$(BUILD)/%.o,$(wildcard deploy/$1/*.c)) $(LIB)
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)$$(LINK) -o $$@ $$^ $$(LDLIBS)
endef
$(foreach t,$(notdir $(patsubst %/main.c,%,$(TOOLS_C))),$(eval $(call TOOL_RULE,$t)))
$(BUILD)/common/rpc/%.o: $(wildcard common/rpc/schema/*.sql)
$(BUILD)/common/imports/%.o: $(wildcard common/imports/schema/*.sql)

# For agencies: a library that stands alone, and a complete program on it.
AGENCY_OBJ := $(addprefix $(BUILD)/,common/subscriber/subscriber.o $(patsubst %,gen/%.pb-c.o,nuanxin/stream/v1/edge io/cloudevents/v1/cloudevents \
	google/protobuf/any google/protobuf/timestamp))
$(AGENCY_LIB): $(AGENCY_OBJ)
	@rm -f $@
	$(call say,AR,$@)ar rcsD $@ $^
$(SUBSCRIBER): deploy/subscribers/subscriber.c $(AGENCY_LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(COMPILE) -Icommon/subscriber -o $@ $< $(AGENCY_LIB) -lzmq -lprotobuf-c -lsqlite3

# The tests of json and of the checks on messages have a contract of their own, with every kind of field and rule.
TESTGEN  := $(BUILD)/tests/gen
TEST_PROTO := nuanxin/test/v1/everything
TEST_CONTRACT := $(TESTGEN)/contract/contract.o $(TESTGEN)/$(TEST_PROTO).pb-c.o
$(TESTGEN)/contract.binpb: $(PROTOS) tests/contract/proto/$(TEST_PROTO).proto
	@mkdir -p $(@D)
	$(call say,PROTOC,$@)protoc -Itests/contract/proto -Iproto -I/usr/include --include_imports --include_source_info --descriptor_set_out=$@ \
	    $(PROTOS) tests/contract/proto/$(TEST_PROTO).proto
$(TESTGEN)/contract/contract.c: $(TESTGEN)/contract.binpb $(BUILD)/bin/contract-compiler
	$(call say,CONTRACT,$(@D))$(BUILD)/bin/contract-compiler --descriptors $< --lock $(TESTGEN)/none.lock --out $(@D)
	@touch $@
$(TESTGEN)/$(TEST_PROTO).pb-c.c: tests/contract/proto/$(TEST_PROTO).proto
	@mkdir -p $(TESTGEN)
	$(call say,PROTOC-C,$<)protoc-c -Itests/contract/proto -Iproto -I/usr/include --c_out=$(TESTGEN) $<
$(TESTGEN)/%.o: $(TESTGEN)/%.c $(TESTGEN)/$(TEST_PROTO).pb-c.c | $(PBC_H)
	$(call say,CC,$<)$(CC) -std=gnu17 $(CFLAGS) $(SANFLAGS) -w -I$(TESTGEN) $(CPPFLAGS) -MMD -MP -c -o $@ $<
TEST_CONTRACT_USERS := $(addprefix $(BUILD)/tests/,unit/json_test unit/contract_test json/roundtrip)
$(TEST_CONTRACT_USERS): $(TEST_CONTRACT)
$(TEST_CONTRACT_USERS): private CPPFLAGS := -I$(TESTGEN) $(CPPFLAGS)
$(TEST_CONTRACT_USERS): private TEST_OBJ := $(TEST_CONTRACT)

# A test program tests/x/y.c links the library, and the rules of a service it names: // uses: services/activity/rules.c
$(BUILD)/tests/%: tests/%.c $(LIB) | $(PBC_H) $(CONTRACT_C)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(COMPILE) -o $@ $< $$(sed -n 's|^// uses: ||p' $<) $(TEST_OBJ) $(LIB) $(LDLIBS)
# For LD_PRELOAD into any program: it stands alone.
$(BUILD)/tests/%.so: tests/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) -std=gnu17 $(CFLAGS) $(WARN) -D_GNU_SOURCE -shared -fPIC -o $@ $< -ldl
$(BUILD)/tests/fuzz/%: tests/fuzz/%.c $(LIB) | $(PBC_H) $(CONTRACT_C)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(COMPILE) -fsanitize=fuzzer -o $@ $< $$(sed -n 's|^// uses: ||p' $<) $(LIB) $(LDLIBS)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
