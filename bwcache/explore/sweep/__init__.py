"""Many comparisons into one file, shared by however many processes; see `worker.work`.

`prompts` and `plan` say what is to be done, `ledger` what is, `claims` who does what, `uncached`
keeps the runs that many jobs share, `videos` writes, `tally` and `report` say what came of it.
"""
