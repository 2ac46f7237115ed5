"""Things on other people's wires: MQTT.

    topics.py          topics and payloads of a node on a broker; sans-IO
    homeassistant.py   the same things as Home Assistant's discovery messages; sans-IO
    board.py           what the broker should hold and does not yet; sans-IO
    connection.py      one MQTT connection that comes back: the only file that knows paho-mqtt
    bus.py             the same connection as drivers see it, from their own threads
    mqtt.py            the bridge: readings out, commands in
"""
