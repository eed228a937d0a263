"""How fast each backend trains each network on this machine, and which one is best.

Every cell of the measurement (network x batch x backend x precision x compilation) is a process of
its own. The cells of one network and batch take turns (`processes`), block by block, so that what
else the machine does slows all of them alike. A training loop of the user's own (`--reference`) can
be one more. The measuring process imports no framework.
"""
