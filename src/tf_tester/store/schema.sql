-- The ledger, version 3. What is in it can be fetched or made again; blobs do not depend on it.
CREATE TABLE page (
    url          TEXT PRIMARY KEY,
    body         BLOB NOT NULL,      -- zlib
    content_type TEXT NOT NULL,
    etag         TEXT,
    fetched      TEXT NOT NULL,      -- RFC 3339, UTC
    missing      INTEGER NOT NULL,   -- 1: the index said 404
    sum          INTEGER             -- CRC-32 of the other columns; rows of earlier versions have none
) WITHOUT ROWID;

CREATE TABLE blob (
    sha256   TEXT PRIMARY KEY,
    filename TEXT NOT NULL,
    size     INTEGER NOT NULL,
    source   TEXT NOT NULL,          -- mirror that gave the bytes
    verified TEXT NOT NULL           -- RFC 3339, UTC
) WITHOUT ROWID;

-- Answers worth remembering; src/tf_tester/store/memos/table.py has every kind.
CREATE TABLE memo (
    kind  TEXT NOT NULL,
    key   TEXT NOT NULL,
    value BLOB NOT NULL,
    at    TEXT NOT NULL,             -- RFC 3339, UTC
    sum   INTEGER,                   -- as above
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;
