DROP TABLE break_glass_keys;
DROP TABLE break_glass_grants;
