ALTER TABLE tenants DROP COLUMN entitlements;
DROP TABLE provider_keys;
