-- Candidates come from functions of the owner, because a full-text operator cannot use its index
-- under row-level security. They apply the caller's settings themselves; what they return is joined
-- with the tables again under the caller's own role, so that each rule is enforced twice.
CREATE FUNCTION forebay.permitted_publications(
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
          THEN (head.readers = '{}' OR head.readers && (SELECT forebay.caller_groups()))
               AND (coalesce(published.held_readers, '{}') = '{}'
                    OR published.held_readers && (SELECT forebay.caller_groups()))
          ELSE head.readers = '{}' AND coalesce(published.held_readers, '{}') = '{}'
               AND head.tenant || '/' || head.collection
                   = ANY ((SELECT forebay.caller_shared())::text[])
          END
      AND (scopes IS NULL OR head.tenant || '/' || head.collection = ANY (scopes))
      AND (wanted_labels IS NULL OR head.labels @> wanted_labels)
$$;

-- The caller's tenant and the owners of what is shared with it: narrows both tables by their keys.
CREATE FUNCTION forebay.searched_tenants() RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT array_agg(DISTINCT regexp_replace(scope, '/[^/]*$', ''))
    FROM unnest(
        forebay.caller_shared() || (forebay.caller_tenant() || '/')
    ) AS scope
    WHERE forebay.caller_tenant() IS NOT NULL;
END;

-- At most 64 words count: an OR of thousands would scan the whole index for one pasted page.
CREATE FUNCTION forebay.question_terms(question text) RETURNS tsquery
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT string_agg(
        '''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''', ' | '
    )::tsquery
    FROM (
        SELECT lexeme FROM unnest(to_tsvector('pg_catalog.english', question))
        ORDER BY positions[1], lexeme LIMIT 64
    ) AS first_words;
END;

CREATE FUNCTION forebay.search_vectors(
    searched_index text, question forebay.vector, candidates integer,
    scopes text[], wanted_labels jsonb
) RETURNS TABLE (
    tenant text, collection text, document_id text, ordinal integer, distance double precision
)
LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL SAFE ROWS 100
SET search_path = pg_catalog, forebay, pg_temp AS $$
#variable_conflict use_column
DECLARE
    tenants text[] := forebay.searched_tenants();
BEGIN
    RETURN QUERY
    SELECT * FROM (
        SELECT passage.tenant, passage.collection, passage.document_id, passage.ordinal,
               passage.embedding OPERATOR(forebay.<=>) question AS distance
        FROM forebay.permitted_publications(searched_index, tenants, scopes, wanted_labels)
        JOIN forebay.passages AS passage USING (index_id, tenant, collection, document_id, version)
        WHERE passage.index_id = searched_index AND passage.tenant = ANY (tenants)
        ORDER BY distance, tenant, collection, document_id, ordinal
        LIMIT candidates
    ) AS nearest
    -- A vector of length zero has no direction: its distance is no number, and sorts last.
    WHERE distance <> 'NaN';
END
$$;

CREATE FUNCTION forebay.search_text(
    searched_index text, question text, candidates integer, scopes text[], wanted_labels jsonb
) RETURNS TABLE (
    tenant text, collection text, document_id text, ordinal integer, rank double precision
)
LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL SAFE ROWS 100
SET search_path = pg_catalog, forebay, pg_temp AS $$
#variable_conflict use_column
DECLARE
    tenants text[] := forebay.searched_tenants();
    terms_wanted tsquery := forebay.question_terms(question);
BEGIN
    RETURN QUERY
    SELECT passage.tenant, passage.collection, passage.document_id, passage.ordinal,
           ts_rank(passage.terms, terms_wanted)::double precision AS rank
    FROM forebay.permitted_publications(searched_index, tenants, scopes, wanted_labels)
    JOIN forebay.passages AS passage USING (index_id, tenant, collection, document_id, version)
    WHERE passage.index_id = searched_index AND passage.tenant = ANY (tenants)
      AND passage.terms @@ terms_wanted
    ORDER BY rank DESC, tenant, collection, document_id, ordinal
    LIMIT candidates;
END
$$;

REVOKE EXECUTE ON FUNCTION
    forebay.search_vectors, forebay.search_text, forebay.permitted_publications,
    forebay.searched_tenants, forebay.question_terms
FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forebay.search_vectors, forebay.search_text TO forebay_retrieve;
