"""What is published, when, what is kept while it cannot be, and what was.

    pacer.py      when a reading is worth publishing; pure
    outbox.py     what still has to be published, on the disk
    publisher.py  out of the outbox into pubsub: live readings first
    history.py    what was measured, and what a readout of the past gets
    store.py      the history's file; rollups.py, rows.py: what is in it
    database.py   an SQLite file that must never stop the node
    clock.py      whether the wall clock can be believed
"""
