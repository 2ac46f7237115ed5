"""One XMPP extension per file. What each answers and announces is declared; `router.py` joins it to the stream.

    router.py       the one handler on the stream: stanza → service, error → stanza error
    sensor_data.py  XEP-0323, device side
    events.py       event subscriptions (ProtoXEP iot-events), device side
    attendance.py   who is a contact of ours, and who is online
    control.py      XEP-0325, device side
    discovery.py    XEP-0030 and 0115: what we are and which things there are
    contacts.py     presence subscriptions: granted to those who may follow us
    pubsub.py       XEP-0060 and 0163: nodes made, configured and published to
    peer.py         the other side: reading, setting, watching a hub from a client
    peer_events.py  the same side: events of a hub, subscribed to again whenever they stop
    commands.py     commands out of what a person wrote
    finding.py      hubs among the contacts of an account, and in a registry
    provisioning.py XEP-0324, device side: questions, and what servers tell us
    registration.py XEP-0347, device side: registered, claimed, disowned
    servers.py      finding provisioning servers and registries
    tokens.py       XEP-0324, device side: our tokens, and challenges of those we passed on
    audit.py        the log of decisions and commands, written by a thread
    iq.py           asking one question and getting one answer in time
"""
