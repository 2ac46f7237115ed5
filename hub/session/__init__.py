"""Connection life.

    backoff.py   how long to wait before the next attempt; pure
    client.py    slixmpp, told what we insist on: TLS, verified, no password in the clear
    link.py      one account kept online for ever: attempts, resumption, pings, and who is told
"""
