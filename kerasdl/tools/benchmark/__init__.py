"""How fast each backend trains each model on this machine, and which one is best.

Every cell (model x batch size x backend x precision x compilation) runs in its own process. The
cells of one model and batch size take turns (`processes`), block by block, so that other load on
the machine affects all of them equally. The user's own training loop (`--reference`) can be another
cell. The main process imports no framework.
"""
