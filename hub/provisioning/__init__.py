"""The provisioning server and thing registry (XEP-0324, XEP-0347), a component for any XMPP server.

    model.py       things, tags, owners, rules: plain values
    rules.py       who may do what: pure, first match in explicit order, refusal by default
    plain.py       rules as plain tables; rulefile.py has them in TOML
    search.py      XEP-0347's searches: operators, masks, regular expressions bounded in time
    store.py       what every store promises; sqlite.py and postgres.py keep it, stores.py picks one
    sqlstore.py    what both have in common: transactions (sql*.py) that an engine runs, migrations.py, schema/
    knowledge.py   what decisions need of the store, in memory, as of a revision
    registry.py    XEP-0347: register, claim, search, update, remove, disown
    decisions.py   XEP-0324: questions of things, answered by rules, owners and their hand
    owner.py       the owner's hand: he is asked, his answers become rules; questions.py has the words and forms
    notices.py     telling things what they have to know, until they have said that they know it
    changes.py     what follows when rules change: caches, friends
    budgets.py     how often somebody may guess, or make us work
    service.py     all that on the stream, in every dialect; stream.py: presence and acknowledgements
    certificates.py  which X.509 certificates are good enough, and challenges to their keys
    tokens.py      XEP-0324: who gets a token, and who may show it
    challenges.py  the same on the wire
    users.py       XEP-0324: users of services, and their privileges
"""
