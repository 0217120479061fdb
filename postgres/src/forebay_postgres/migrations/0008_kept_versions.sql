-- Versions whose content cataloguing has read and not ended in the log. What embedding has seen of a
-- document since does not matter here: cataloguing reads every version in its time.
ALTER TABLE forebay.documents ADD COLUMN kept_versions uuid[] NOT NULL DEFAULT '{}';

-- Up to now the head alone told what a version had replaced. Ending a version twice does no harm.
UPDATE forebay.documents
SET kept_versions = array_remove(ARRAY[previous_version, newest_version], NULL)
WHERE newest_version IS NOT NULL;

-- previous_version is written no more. It stays for workers of the former release that still run.
