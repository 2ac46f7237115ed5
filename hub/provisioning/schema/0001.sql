-- One text for SQLite and PostgreSQL. Statements end with a semicolon at the end of a line. ORDERED_TEXT is text that
-- is sorted by code points: to SQLite just a type that holds text, for PostgreSQL replaced by TEXT COLLATE "C".
-- Moments are ISO 8601 in UTC with microseconds, so that they sort as text; truths are 0 and 1.

-- Numbers that only grow: ids, and the revision of rules, groups and ownership.
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('revision', 0), ('thing', 0), ('rule', 0), ('notice', 0), ('asker', 0);

-- `marks` is the digest of all tags but KEY; `claimed_with` that of all tags that a claim named, '' where none did.
CREATE TABLE things (
    id BIGINT PRIMARY KEY,
    jid ORDERED_TEXT NOT NULL,
    node_id ORDERED_TEXT NOT NULL,
    source_id ORDERED_TEXT NOT NULL,
    cache_type ORDERED_TEXT NOT NULL,
    ownership TEXT NOT NULL CHECK (ownership IN ('unclaimed', 'claimed', 'self-owned')),
    owner ORDERED_TEXT NOT NULL,
    public INTEGER NOT NULL CHECK (public IN (0, 1)),
    removed INTEGER NOT NULL CHECK (removed IN (0, 1)),
    marks TEXT NOT NULL,
    claimed_with TEXT NOT NULL,
    UNIQUE (jid, node_id, source_id, cache_type),
    CHECK ((ownership = 'unclaimed') = (owner = ''))
);
CREATE INDEX things_by_owner ON things (owner);
CREATE INDEX things_by_marks ON things (marks);

CREATE TABLE tags (
    thing BIGINT NOT NULL REFERENCES things (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('str', 'num')),
    value TEXT NOT NULL,
    PRIMARY KEY (thing, name)
);
CREATE INDEX tags_by_value ON tags (name, value);

-- `body`: the rule as JSON, but for its id, order and owner.
CREATE TABLE rules (
    id BIGINT PRIMARY KEY,
    position BIGINT NOT NULL,
    owner TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE TABLE rule_groups (
    name TEXT PRIMARY KEY,
    members TEXT NOT NULL
);

CREATE TABLE notices (
    id BIGINT PRIMARY KEY,
    jid TEXT NOT NULL,
    node_id TEXT NOT NULL,
    source_id TEXT NOT NULL,
    cache_type TEXT NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    created TEXT NOT NULL
);
CREATE INDEX notices_by_jid ON notices (jid);

CREATE TABLE askers (
    device ORDERED_TEXT NOT NULL,
    jid ORDERED_TEXT NOT NULL,
    id BIGINT NOT NULL,
    PRIMARY KEY (device, jid)
);
CREATE INDEX askers_by_jid ON askers (jid);

-- `certificate`: DER in base64.
CREATE TABLE tokens (
    token TEXT PRIMARY KEY,
    certificate TEXT NOT NULL,
    subject TEXT NOT NULL,
    created TEXT NOT NULL,
    expires TEXT NOT NULL
);

CREATE TABLE small_things (
    area TEXT NOT NULL,
    key ORDERED_TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (area, key)
);
