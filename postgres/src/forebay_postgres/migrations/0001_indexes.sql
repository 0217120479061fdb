-- An index is one embedding model applied to one chunking of every document.
CREATE TABLE forebay.indexes (
    id text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[a-z0-9-]{1,63}$'),
    embedding_model text NOT NULL,
    dimensions integer NOT NULL CHECK (dimensions BETWEEN 1 AND 16000), -- pgvector's own limit
    chunking text NOT NULL,
    state text NOT NULL CHECK (state IN ('BUILDING', 'READY', 'SERVING', 'STANDBY', 'DELETED')),
    create_time timestamptz NOT NULL DEFAULT now()
);

-- Two writers that start together cannot both register a serving index.
CREATE UNIQUE INDEX indexes_one_serving ON forebay.indexes ((state)) WHERE state = 'SERVING';

GRANT SELECT, INSERT, UPDATE ON forebay.indexes TO forebay_write;
GRANT SELECT ON forebay.indexes TO forebay_retrieve;
