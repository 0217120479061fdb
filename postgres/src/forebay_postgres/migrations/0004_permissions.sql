-- Who asks is a setting of the transaction: forebay.tenant, forebay.clearance, forebay.groups and
-- forebay.shared. A missing, empty or malformed one grants nothing and raises nothing.
CREATE FUNCTION forebay.caller_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('forebay.tenant', true), '');

CREATE FUNCTION forebay.caller_clearance() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN current_setting('forebay.clearance', true) ~ '^[1-3]$'
            THEN current_setting('forebay.clearance', true)::integer END;

CREATE FUNCTION forebay.caller_array(setting text) RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN pg_input_is_valid(current_setting(setting, true), 'text[]')
            THEN current_setting(setting, true)::text[] ELSE '{}' END;

CREATE FUNCTION forebay.caller_groups() RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE
RETURN forebay.caller_array('forebay.groups');

-- Collections of other tenants that policy shares with the caller, as tenant/collection.
CREATE FUNCTION forebay.caller_shared() RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN forebay.caller_tenant() IS NULL THEN '{}'
            ELSE forebay.caller_array('forebay.shared') END;

ALTER TABLE forebay.documents ENABLE ROW LEVEL SECURITY;
ALTER TABLE forebay.versions_refused ENABLE ROW LEVEL SECURITY;
ALTER TABLE forebay.publications ENABLE ROW LEVEL SECURITY;
ALTER TABLE forebay.passages ENABLE ROW LEVEL SECURITY;

CREATE POLICY writes ON forebay.documents TO forebay_write USING (true) WITH CHECK (true);
CREATE POLICY writes ON forebay.versions_refused TO forebay_write USING (true) WITH CHECK (true);
CREATE POLICY writes ON forebay.publications TO forebay_write USING (true) WITH CHECK (true);
CREATE POLICY writes ON forebay.passages TO forebay_write USING (true) WITH CHECK (true);

-- Readers name groups of the owning tenant, so they admit nobody from another tenant.
-- The settings stand in sub-selects to be read once per statement.
CREATE POLICY reads ON forebay.documents FOR SELECT TO forebay_retrieve USING (
    visibility <= (SELECT forebay.caller_clearance())
    AND (
        (tenant = (SELECT forebay.caller_tenant())
         AND (readers = '{}' OR readers && (SELECT forebay.caller_groups())))
        OR (readers = '{}'
            AND tenant || '/' || collection = ANY ((SELECT forebay.caller_shared())::text[]))
    )
);

-- A sub-select on documents is itself under the policy above: no document, none of its rows.
CREATE POLICY reads ON forebay.versions_refused FOR SELECT TO forebay_retrieve USING (
    EXISTS (
        SELECT FROM forebay.documents AS head
        WHERE head.tenant = versions_refused.tenant
          AND head.collection = versions_refused.collection
          AND head.document_id = versions_refused.document_id
    )
);

CREATE POLICY reads ON forebay.publications FOR SELECT TO forebay_retrieve USING (
    (held_visibility IS NULL OR held_visibility <= (SELECT forebay.caller_clearance()))
    AND (held_readers IS NULL OR held_readers = '{}'
         OR (tenant = (SELECT forebay.caller_tenant())
             AND held_readers && (SELECT forebay.caller_groups())))
    AND EXISTS (
        SELECT FROM forebay.documents AS head
        WHERE head.tenant = publications.tenant
          AND head.collection = publications.collection
          AND head.document_id = publications.document_id
    )
);

CREATE POLICY reads ON forebay.passages FOR SELECT TO forebay_retrieve USING (
    EXISTS (
        SELECT FROM forebay.publications AS published
        WHERE published.index_id = passages.index_id
          AND published.tenant = passages.tenant
          AND published.collection = passages.collection
          AND published.document_id = passages.document_id
          AND published.version = passages.version
    )
);

-- What a document looks like to the reader: derived from the serving index, so that promoting
-- another one changes it at once. security_invoker: the policies above apply to the reader.
CREATE VIEW forebay.catalogue WITH (security_invoker = true) AS
SELECT
    head.tenant, head.collection, head.document_id, head.newest_version, head.deleted_version,
    head.title, head.mime_type, head.source_uri, head.visibility, head.readers, head.labels,
    published.version AS indexed_version,
    CASE
        WHEN head.newest_version IS NULL OR head.newest_version <= head.deleted_version THEN 'DELETED'
        WHEN published.version = head.newest_version THEN 'INDEXED'
        WHEN head.failed_version = head.newest_version THEN 'FAILED'
        ELSE 'ACCEPTED'
    END AS state,
    head.error_code, head.error_reason, head.error_message,
    greatest(head.newest_version, head.visibility_version, head.readers_version,
             head.labels_version, head.deleted_version) AS revision,
    head.create_time, head.update_time
FROM forebay.documents AS head
LEFT JOIN forebay.indexes AS serving ON serving.state = 'SERVING'
LEFT JOIN forebay.publications AS published
    ON published.index_id = serving.id
    AND published.tenant = head.tenant
    AND published.collection = head.collection
    AND published.document_id = head.document_id
-- An update or a deletion may come before any version: then there is a head and no document yet.
WHERE head.newest_version IS NOT NULL OR head.deleted_version IS NOT NULL;

GRANT SELECT ON forebay.catalogue TO forebay_retrieve;
