"""The EXI ↔ XML gateway in front of any XMPP server (XEP-0322).

The way of a stanza, from a client that speaks EXI to a server that does not:

- `server` listens, counts and bounds, `wire` is one TCP connection with or without TLS, `connection` is one client and
  its own stream to the server, whose life is the table in `life`. `upstream` opens that stream, `domains` knows
  certificates and servers.
- `sides` turns bytes into what passes over a stream and back: `xmlreader` and `xmlwriter` for XML, the codec for EXI;
  `xmpp` names it. `features` says what a client may know of the server's features.
- `negotiation` is the set-up of EXI, `store` keeps schemas and agreements, within `bounds`; `compilation` and
  `unpacking` do in processes of their own what a schema could make expensive.
- `limits` is what is borne, `patience` how long an unfinished stanza is, `figures` what is counted, `metrics` shows it.
"""
