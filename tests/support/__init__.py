"""What the tests are written with.

story     what happened so far, in the reader's words; every failure tells it
evening   a few guests, whatever happens; what became of each
shims     a libc that is less kind than the usual one
chapters  what each chapter promises, in one table
guests    a guest of an echo server, and many guests at once
servers   a server as a process: start it, watch it, end it
facts     what /proc knows about a process
matrix    what became of each fault in each chapter, held against docs/faults.md
networks  a network of one's own, with other rules than this machine's
"""
