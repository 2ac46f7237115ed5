"""Who may do what. Rules, a provisioning server's answers, and the log of what was decided.

    access.py       the `[access]` lists of the configuration
    cache.py        what provisioning servers said, on disk
    provisioned.py  the judge that asks them
    ownership.py    whose this hub is
    tokens.py       which token went to whom, and so whose challenges are answered
    audit.py        the log that shows when it was changed: its chain and the checker
    auditfiles.py   the same in files
"""
