# The five chapters, and the tests that hold them to their word. `make help` says what to type.
CHAPTERS := 01-blocking 02-threads 03-select 04-epoll 05-async-tasks
IN_05    := steps examples explain
PYTEST   := tests/with-pytest
unexport CDPATH # else `cd` goes elsewhere, and prints where

ifneq ($(shell uname),Linux)
ifneq ($(MAKECMDGOALS),help)
$(error This needs Linux (epoll). In a container: docker run --rm -it --init -v "$$PWD":/src -w /src gcc:14 bash)
endif
endif

all: $(CHAPTERS:%=build-%)

$(CHAPTERS:%=build-%): build-%:
	@$(MAKE) --no-print-directory -C $*

# A chapter by its name leaves its programs at the top, as links.
$(CHAPTERS): %: build-%
	@ln -sfn $@/server server
	@ln -sfn $@/client client
	@echo "Here:                   ./server          (Ctrl-C ends it)"
	@echo "In a second terminal:   ./client          or: ./client 'Hello', ./client -"

$(IN_05):
	@$(MAKE) --no-print-directory -C 05-async-tasks $@

test:
	@CALLED="make test" $(PYTEST) tests/

# Behaviour only, for a reader who has changed a chapter: make check-03
check-%:
	@CALLED="make $@" $(PYTEST) tests/server tests/client tests/runtime \
	    --behaviour -k "$(or $(filter $*-%,$(CHAPTERS)),no-such-chapter)"

# The exercises: make exercise-03a tries the reader's solution; make exercises proves that
# each check fails on the chapter as it is and passes with ours.
exercise-%:
	@python3 tests/exercises/check.py $*

exercises:
	@python3 tests/exercises/check.py --prove

# make trace CHAPTER=03-select: an evening of that chapter, recorded and drawn
trace:
	@python3 tests/trace/trace.py $(CHAPTER)

test-thorough:
	@CALLED="make $@" THOROUGH=1 $(PYTEST) tests/
	@python3 tests/mutants/mutants.py

bench:
	@exec python3 tests/bench/bench.py

clean:
	@for chapter in $(CHAPTERS); do $(MAKE) --no-print-directory -C $$chapter clean; done
	rm -rf tests/.build
	rm -f server client

help:
	@echo "make                   build all chapters"
	@echo "make 03-select         build that one, and leave its ./server and ./client here"
	@echo "                       (also 01-blocking, 02-threads, 04-epoll, 05-async-tasks)"
	@echo "make check-03          test the behaviour of that one: about half a minute"
	@echo "make exercise-03a      try your solution of an exercise of a chapter's page"
	@echo "make trace CHAPTER=…   record an evening of a chapter, and draw it"
	@echo "make test              test all of it; the same as: pytest tests/"
	@echo "make test-thorough     all of it, and what takes long: about an hour"
	@echo "make bench             measure what each way of serving costs here: docs/costs.md"
	@echo "make steps examples    build the small programs of chapter 05"
	@echo "make explain           show what await is made of, in chapter 05"
	@echo "make clean             remove what was built"
	@echo
	@echo "CC, CFLAGS and LDFLAGS are yours, for example for a sanitizer:"
	@echo "make clean 03-select CC=clang CFLAGS='-O1 -g -fsanitize=address'"

.PHONY: all test test-thorough bench trace exercises clean help $(IN_05) $(CHAPTERS) $(CHAPTERS:%=build-%)
.NOTPARALLEL: # or make -j clean all would remove what it has built
