DROP INDEX accounts_auth_user_id_key;
ALTER TABLE accounts DROP COLUMN auth_user_id;
