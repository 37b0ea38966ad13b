"""What the tests of the clients are written with.

clients        a client as a process: its stdin, its stdout, its end
wrong_servers  servers in Python that do one thing wrong, each in its own way
patience       the cases in which a client waits for ten seconds: all of them wait together
fixtures       the pytest plugin that hands these to the tests
"""
