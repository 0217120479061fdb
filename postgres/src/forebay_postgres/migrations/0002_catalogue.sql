-- One head row per document, kept after deletion: it is what makes a late version lose.
-- Versions are UUIDv7, so their byte order is their time order.
-- Visibility, readers and labels carry the version that set each, because an update of one of them
-- travels on its own topic and may arrive before or after the content that it belongs to.
CREATE TABLE forebay.documents (
    tenant text COLLATE "C" NOT NULL,
    collection text COLLATE "C" NOT NULL CHECK (collection !~ '/'), -- scopes are tenant/collection
    document_id text COLLATE "C" NOT NULL,
    newest_version uuid,
    previous_version uuid, -- the one that newest_version replaced
    deleted_version uuid,  -- this version and all before it are gone for ever
    title text NOT NULL DEFAULT '',
    mime_type text NOT NULL DEFAULT '',
    source_uri text NOT NULL DEFAULT '',
    visibility smallint CHECK (visibility BETWEEN 1 AND 3),
    visibility_version uuid,
    readers text[] NOT NULL DEFAULT '{}',
    readers_version uuid,
    labels jsonb NOT NULL DEFAULT '{}',
    labels_version uuid,
    failed_version uuid,
    error_code integer,
    error_reason text,
    error_message text,
    create_time timestamptz,
    update_time timestamptz,
    PRIMARY KEY (tenant, collection, document_id)
);

-- Writes that lacked the clearance for what they would have replaced: never applied, but answerable.
CREATE TABLE forebay.versions_refused (
    tenant text COLLATE "C" NOT NULL,
    collection text COLLATE "C" NOT NULL,
    document_id text COLLATE "C" NOT NULL,
    version uuid NOT NULL,
    error_code integer NOT NULL,
    error_reason text NOT NULL,
    error_message text NOT NULL,
    PRIMARY KEY (tenant, collection, document_id, version)
);

-- No DELETE on documents: a head row outlives its document.
GRANT SELECT, INSERT, UPDATE ON forebay.documents TO forebay_write;
GRANT SELECT, INSERT, DELETE ON forebay.versions_refused TO forebay_write;
GRANT SELECT ON forebay.documents, forebay.versions_refused TO forebay_retrieve;
