-- The user of a hosted project with whom an account is linked: people then sign in there.
ALTER TABLE accounts ADD COLUMN auth_user_id VARCHAR(64);
CREATE UNIQUE INDEX accounts_auth_user_id_key ON accounts (auth_user_id);
