"""XML ↔ model: one dialect per file, no handlers, no decisions.

    dialects.py          which namespace is spoken by which codec; the only table of it
    sensor_data_xmpp.py  XEP-0323, `urn:xmpp:iot:sensordata`
    sensor_data_nf.py    its successor, `urn:nf:iot:sd:1.0` and the same words in two more namespaces
    control_xmpp.py      XEP-0325, `urn:xmpp:iot:control`
    control_nf.py        its successor, `urn:nf:iot:ctr:1.0`, likewise
    events_xmpp.py       event subscriptions (ProtoXEP iot-events), `urn:xmpp:iot:events`
    events_nf.py         its successor, `urn:nf:iot:events:1.0`, likewise
    provisioning_xmpp.py XEP-0324, `urn:xmpp:iot:provisioning`
    provisioning_nf.py   its successor, `urn:nf:iot:prov:d:1.0` and `prov:t:1.0`, likewise
    discovery_xmpp.py    XEP-0347, `urn:xmpp:iot:discovery`
    discovery_nf.py      its successor, `urn:nf:iot:disco:1.0`, likewise
    iotdisco.py          what a thing's QR code says
    provisioning.py      the plain values of both
    bounded.py           how much of what both take from strangers
    forms.py             control forms: XEP-0004 with 0122, 0141, 0331 and 0336
    errors.py            our errors ↔ stanza errors
    xml.py               reading attributes and children without surprises

Codecs of the same extension have the same methods, so that a service speaks every dialect with the same lines.
"""
