-- What each user has used in a period. $1: the period, 202611.
select user_id, kind, amount from usage_balance where period = $1
