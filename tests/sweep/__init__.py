"""Every system call that a server or a client makes, with every error it may give.

table    which errors, what may come of each, and which are left out, and why
strace   finds the calls by listening to a real run, and puts the errors in
"""
