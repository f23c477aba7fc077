-- The three buckets for ENDCAP_ARTIFACT_STORE=supabase, private and without any policy: only the service key reaches them. The rlhf-backend
-- makes them by itself when they are missing; this is for those who make them beforehand. Run it in the project's SQL editor. Safe to repeat.
INSERT INTO storage.buckets (id, name, public)
VALUES ('model-artifacts', 'model-artifacts', false), ('training-data', 'training-data', false), ('exports', 'exports', false)
ON CONFLICT (id) DO UPDATE SET public = false;
