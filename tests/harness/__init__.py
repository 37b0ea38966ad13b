"""What the tests stand on. tests/README.md explains it in a page.

story     the steps of one test, and the text of a failure
proc      processes: started with a clean environment, watched in /proc, always ended
chapters  the five chapters: what each promises, and how it is built
client    a raw TCP client, which checks every byte that comes back
server    a chapter's ./server as a process
peer      the other direction: a scripted peer, and a chapter's ./client as a process
network   a network namespace with small buffers, small packets, a short backlog
report    what a run prints: progress, reasons for skips, the walls
"""
