"""Chips and pins: one file per part, usable without the hub (`python -m devices NAME`)."""
