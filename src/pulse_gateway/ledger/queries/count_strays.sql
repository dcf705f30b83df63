-- How many entries have found no month.
select count(*) from usage_entry_default
