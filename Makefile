# The five chapters, and the tests that hold them to their word. `make help` says what to type.

CHAPTERS := 01-blocking 02-threads 03-select 04-epoll 05-async-tasks

# As in the chapters' own Makefiles: SAN=address or SAN=thread builds beside the normal build.
SUFFIX := $(if $(SAN),-$(SAN))

.PHONY: all help test test-thorough bench clean explain $(CHAPTERS) $(CHAPTERS:%=build-%)

all: $(CHAPTERS:%=build-%)

$(CHAPTERS:%=build-%): build-%:
	@$(MAKE) --no-print-directory -C $*

# A chapter by its name leaves its programs at the top, as links.
$(CHAPTERS): %: build-%
	@ln -sfn $@/server$(SUFFIX) server
	@ln -sfn $@/client$(SUFFIX) client
	@echo "Here:                   ./server          (Ctrl-C ends it)"
	@echo "In a second terminal:   ./client          or: ./client 'Hello', ./client -"

# pytest is got where it is missing; tests/python-with-pytest says how.
test:
	@python=$$(tests/python-with-pytest) && $$python -m pytest tests/

# The same tests, and with them all that takes long: about half an hour.
test-thorough:
	@python=$$(tests/python-with-pytest) && THOROUGH=1 $$python -m pytest tests/

# CHAPTERS='04-epoll 05-async-tasks' GUESTS='1 100 1000' narrow it. Some python3 have matplotlib.
bench:
	@for python in python3 /usr/bin/python3; do \
	    $$python -c 'import matplotlib' 2>/dev/null && break; \
	done || python=python3; exec $$python tests/bench/measure.py

explain:
	@$(MAKE) --no-print-directory -C 05-async-tasks explain

clean:
	@for chapter in $(CHAPTERS); do $(MAKE) --no-print-directory -C $$chapter clean; done
	rm -rf tests/bench/build
	rm -f server client

help:
	@echo "make                   build all chapters"
	@echo "make 03-select         build that one, and leave its ./server and ./client here"
	@echo "                       (also 01-blocking, 02-threads, 04-epoll, 05-async-tasks)"
	@echo "make test              check every chapter; the same as: pytest tests/"
	@echo "make test-thorough     the same, and all that takes long: about half an hour"
	@echo "make bench             measure what each way of serving costs here: docs/costs.md"
	@echo "make explain           show what await is made of, in chapter 05"
	@echo "make clean             remove what was built"
	@echo
	@echo "CC, CFLAGS and LDFLAGS are yours: make CC=clang CFLAGS='-O0 -g3' 03-select"
	@echo "make SAN=address 03-select (or SAN=thread) builds with a sanitizer, beside the rest"
