"""The product on one machine, with nothing to set up: `hub demo`.

    prosody.py   a private Prosody on loopback, with its own certificate authority; also what the tests run on
    gateway.py   the EXI gateway that stands in front of it, and what it saves
    dashboard.py the dashboard, in a process of its own
    run.py       server, gateway and node together, and the verdict of `--seconds`
    view.py      the live view in the terminal
    demo.toml    the node of the demo
"""
