"""The EXI ↔ XML gateway in front of any XMPP server (XEP-0322)."""
