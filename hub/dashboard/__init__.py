"""The dashboard: hubs as a page for people. A program of its own, which may run on another machine than any node.

    view.py      what the page sees: the contract between it and the rest
    hubs.py      hubs found and kept: the board of a running dashboard
    watcher.py   the life of one hub as we see it
    past.py      what hubs remember, as charts
    board.py     tiles: freshness, trend, alarms, out of what hubs say
    alarms.py    thresholds
    points.py    numbers over time, bounded
    charts.py    many points as few; history joined with live values
    access.py    who may look and control, and how often one may guess
    page.py      the page, served (NiceGUI)
    gate.py      what every request passes before it, and every answer after it
    login.py     where one logs in
    sessions.py  who has, also after a restart
    wall.py      one open page, and what its browser asks
    wire.py      what goes to a browser
    web/         what runs there: tiles, controls, charts, the look
"""
