"""Sensor and actuator hubs that speak open, federated XMPP."""
