"""Who may do what. Pure rules now; a provisioning server's answers, cached, will stand beside them.

    access.py   the `[access]` lists of the configuration
"""
