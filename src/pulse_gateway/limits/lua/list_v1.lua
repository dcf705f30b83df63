-- One step through the keys of the node that holds a tenant's.
-- KEYS 1 any key of the tenant.  ARGV 1 cursor · 2 pattern · 3 how many to look at → next cursor, keys
return redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
