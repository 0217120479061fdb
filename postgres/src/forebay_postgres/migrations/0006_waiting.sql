-- How many documents of the caller's tenant wait for the serving index, counted up to a limit. Of
-- the owner: a tenant's limit counts its documents whoever asks and whatever that one may read.
CREATE FUNCTION forebay.count_waiting(at_most bigint) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE
SET search_path = pg_catalog, forebay, pg_temp AS $$
    SELECT count(*) FROM (
        SELECT FROM forebay.documents AS head
        WHERE head.tenant = (SELECT forebay.caller_tenant())
          AND head.newest_version IS NOT NULL
          AND (head.deleted_version IS NULL OR head.newest_version > head.deleted_version)
          AND head.failed_version IS DISTINCT FROM head.newest_version
          AND NOT EXISTS (
              SELECT FROM forebay.publications AS published
              -- No join: with one, a tenant of 1,000 documents takes 300 ms and not 1 ms.
              WHERE published.index_id
                    = (SELECT serving.id FROM forebay.indexes AS serving WHERE state = 'SERVING')
                AND published.tenant = head.tenant
                AND published.collection = head.collection
                AND published.document_id = head.document_id
                AND published.version = head.newest_version
          )
        LIMIT at_most
    ) AS waiting
$$;

REVOKE EXECUTE ON FUNCTION forebay.count_waiting FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forebay.count_waiting TO forebay_retrieve;
