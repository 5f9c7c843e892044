"""`bench gpu`: everything of this project that only a GPU can show, in one command.

`pieces` says what there is, `runner` gives each piece to a `worker` process and keeps what comes
back, `correctness`, `cost`, `training` and `recorded` are the parts' work. docs/gpu.md says how to
read the results.
"""
