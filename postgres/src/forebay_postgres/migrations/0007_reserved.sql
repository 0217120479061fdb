-- Under an alias of something shared, the caller knows that and nothing else: an own collection of
-- the same name would give two documents one name. It is hidden while the alias is reserved.
CREATE FUNCTION forebay.caller_reserved() RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE
RETURN forebay.caller_array('forebay.reserved');

ALTER POLICY reads ON forebay.documents USING (
    visibility <= (SELECT forebay.caller_clearance())
    AND (
        (tenant = (SELECT forebay.caller_tenant())
         AND collection <> ALL ((SELECT forebay.caller_reserved())::text[])
         AND (readers = '{}' OR readers && (SELECT forebay.caller_groups())))
        OR (readers = '{}'
            AND tenant || '/' || collection = ANY ((SELECT forebay.caller_shared())::text[]))
    )
);

CREATE OR REPLACE FUNCTION forebay.permitted_publications(
    searched_index text, tenants text[], scopes text[], wanted_labels jsonb
) RETURNS SETOF forebay.publications
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT published.*
    FROM forebay.publications AS published
    JOIN forebay.documents AS head USING (tenant, collection, document_id)
    WHERE published.index_id = searched_index
      AND published.tenant = ANY (tenants)
      AND head.tenant = ANY (tenants)
      AND greatest(head.visibility, published.held_visibility)
          <= (SELECT forebay.caller_clearance())
      AND head.visibility IS NOT NULL
      AND CASE WHEN head.tenant = (SELECT forebay.caller_tenant())
          THEN head.collection <> ALL ((SELECT forebay.caller_reserved())::text[])
               AND (head.readers = '{}' OR head.readers && (SELECT forebay.caller_groups()))
               AND (coalesce(published.held_readers, '{}') = '{}'
                    OR published.held_readers && (SELECT forebay.caller_groups()))
          ELSE head.readers = '{}' AND coalesce(published.held_readers, '{}') = '{}'
               AND head.tenant || '/' || head.collection
                   = ANY ((SELECT forebay.caller_shared())::text[])
          END
      AND (scopes IS NULL OR head.tenant || '/' || head.collection = ANY (scopes))
      AND (wanted_labels IS NULL OR head.labels @> wanted_labels)
$$;
