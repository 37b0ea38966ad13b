# What only this chapter can do: show what the await macros make of the server.
explain:
	@./explain server_guest.c
	@./explain server.c

.PHONY: explain
