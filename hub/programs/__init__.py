"""Composition roots: the only files that build and join everything. They decide nothing by themselves.

    node.py        a node: configuration → parts → things → services → stream
    node_trust.py, node_telemetry.py, node_mqtt.py, node_metrics.py    parts of one, built where it is configured
    account.py     whose account a program uses
    provisioning.py   the provisioning server
    dashboard.py   the dashboard
"""
