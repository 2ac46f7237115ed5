"""The model: things with fields and parameters, what can be asked of them and what may be done to them.

    model.py      Field, FieldTypes, Quality, NodeRef, Reading: the words every other room speaks
    thing.py      a thing: its newest values, its trouble, its memory
    readout.py    which fields answer a request (XEP-0323), cut into parts; the life of a readout as a table
    subscription.py  what somebody wants to be told of: conditions, intervals, how large a change is
    events.py     when a subscription fires
    control.py    which writes answer a command (XEP-0325): everything is checked before anything moves
    actuation.py  boot state, safe state, lease and link time-out of an output
    interlock.py  conditions that must hold for an output to leave its safe state
    memory.py     output states that survive a power cut
    sampler.py    the one loop that calls drivers; the only file here that knows asyncio and threads
"""
