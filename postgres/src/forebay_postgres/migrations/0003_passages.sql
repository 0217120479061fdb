-- Full text in English: the configuration that ranking was measured with. Other languages are found
-- by their unstemmed words. Heading words count as words of the passage.
CREATE FUNCTION forebay.passage_terms(heading_path text[], content text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN to_tsvector('pg_catalog.english', array_to_string(heading_path, ' ') || ' ' || content);

-- Which version of a document an index holds. A document without any text has a row here as well.
-- While a newer version waits for its embedding, the passages still hold the older text: held_*
-- keeps the access that applied to that text, so that a newer, more open version cannot open it.
CREATE TABLE forebay.publications (
    index_id text COLLATE "C" NOT NULL REFERENCES forebay.indexes,
    tenant text COLLATE "C" NOT NULL,
    collection text COLLATE "C" NOT NULL,
    document_id text COLLATE "C" NOT NULL,
    version uuid NOT NULL,
    held_visibility smallint,
    held_readers text[],
    publish_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (index_id, tenant, collection, document_id)
);

CREATE TABLE forebay.passages (
    index_id text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    collection text COLLATE "C" NOT NULL,
    document_id text COLLATE "C" NOT NULL,
    version uuid NOT NULL,
    ordinal integer NOT NULL CHECK (ordinal >= 0),
    content text NOT NULL,
    heading_path text[] NOT NULL,
    span_start integer NOT NULL, -- UTF-8 bytes of the parsed document
    span_end integer NOT NULL CHECK (span_end >= span_start),
    text_sha256 bytea NOT NULL CHECK (length(text_sha256) = 32),
    embedding forebay.vector NOT NULL,
    terms tsvector NOT NULL GENERATED ALWAYS AS (forebay.passage_terms(heading_path, content)) STORED,
    PRIMARY KEY (index_id, tenant, collection, document_id, version, ordinal)
)
-- The most that a page holds: scans read vectors and terms of a whole tenant, and moved out of the
-- row they cost a look-up each.
WITH (toast_tuple_target = 8160);
-- Where a row is too long even so, the vector is the last to move out.
ALTER TABLE forebay.passages ALTER COLUMN embedding SET STORAGE MAIN;
CREATE INDEX passages_by_terms ON forebay.passages USING gin (terms);
CREATE INDEX passages_by_hash ON forebay.passages (tenant, text_sha256);

GRANT SELECT, INSERT, UPDATE, DELETE ON forebay.publications TO forebay_write;
GRANT SELECT, INSERT, DELETE ON forebay.passages TO forebay_write;
GRANT SELECT ON forebay.publications, forebay.passages TO forebay_retrieve;
