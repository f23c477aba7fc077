-- When an expert last answered what raters asked about a golden item: only questions after that wait.
ALTER TABLE golden_set_items ADD COLUMN questions_seen_at TIMESTAMPTZ;
SELECT endcap_guard_tenants();
