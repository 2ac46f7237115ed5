"""Measurements, run by hand: `python -m tests.benchmarks.node` from the top of the checkout. No test asserts a time.

    node.py      the program: runs everything, prints the table with the bars beside it, `--json FILE` keeps the numbers
    bench.py     what is started (server, nodes, peers) and how long they live
    measure.py   processes seen from outside: memory, processor time, questions and answers in lines of JSON
    table.py     medians, ratios, bars
    client.py    a process: asks for readouts and counts notifications; slixmpp's core and nothing of the hub
    plain.py     a process: the yardstick, a device written by hand on slixmpp; nothing of the hub in it either
    mqtt.py      mosquitto, and mqtt-io with mock sensors

    wire.py      the program: bytes of readings, readouts and whole sessions, in XML, EXI and MQTT
    meter.py     bytes of one client, element by element, as they stand inside TLS
    mqtt_wire.py the same readings over MQTT, counted on loopback

    gateway.py   the program: what `hub gateway` costs in time, processor and memory
    front.py     what is started for it: server, gateway, processes of clients
    crowd.py     a process: many light clients, in XML and EXI
    speaker.py   a process: one client as a node has it

    trust.py     the program: decisions from the cache of verdicts, and starting with it
    provisioning.py  the program: what `hub provisioning` costs, decisions, a fleet's first start, memory

    dashboard.py the program: a day's chart from a node's file to the screen, memory of the dashboard
    dashboard_page.py  the program: the dashboard's page in a real Chromium: a day's chart, 500 tiles, memory

    exi_speed.py, exi_size.py, exi_exificient.py: the codec by itself

How to run
    python -m tests.benchmarks.node                     everything, about nine minutes
    python -m tests.benchmarks.node --only readout,cpu  some of: startup memory readout cpu telemetry growth
    python -m tests.benchmarks.node --quick             an eighth of the work, to see that it runs
    --mqtt-io PYTHON   an interpreter that has mqtt-io installed (in a virtual environment of its own: it pins old
                       libraries); without it that column stays empty
    --code FOLDER      measure the `hub` of another checkout or copy against the same yardsticks
    python -m tests.benchmarks.wire                     bytes on the wire
    python -m tests.benchmarks.gateway                  everything, about eight minutes; --only some of: login latency
                                                        cpu idle throughput; --quick and --json as above
    --code FOLDER      gateway and clients from there: a checkout, or the site-packages of an environment where the
                       compiled codec is installed (see setup.py); the last line says which form was measured

What is compared
* `hub node --simulate` with twenty simulated things read every second, as a user starts it: TLS, SCRAM, stream
  management, disco, telemetry every 30 s, history and outbox on the disk, log to stderr.
* Plain slixmpp: a bare ClientXMPP with one Callback that answers from memory with the same stanzas and as many fields.
  It judges nobody, samples nothing, keeps no history and has no stream management: it is the floor, not a rival.
* mqtt-io with twenty of its mock sensors read and published every second, TLS to a real mosquitto. The mocks are
  `unittest.mock` objects, which cost mqtt-io some memory that a real sensor module would not.

Caveats
* All on one machine over loopback; the server and the asking client share its processors with what is measured, so
  latencies hold the server's and the client's share too, and ratios come out milder than processor time does.
* A shared machine is noisy: every comparison alternates A and B within one run, the ratio is taken per round, and the
  table shows the median of the rounds with the lowest and highest. Absolute numbers are for orientation only.
* A process's memory depends on the allocator and the Python build; compare with the plain client of the same run.
"""
