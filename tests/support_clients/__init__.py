"""What the tests of the clients are written with.

clients        a client as a process: its stdin, its stdout, its end
wrong_servers  servers in Python that do one thing wrong, each in its own way
patience       the cases in which a client waits for ten seconds: all of them wait together
errands        what became of a client to which something was done
fixtures       the pytest plugin that hands these to the tests
"""
