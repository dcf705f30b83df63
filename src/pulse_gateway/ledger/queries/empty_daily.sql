-- Take out a span of time, to fill it again. $1: from, $2: up to, not including; both begin a day (UTC).
delete from usage_daily where day >= ($1::timestamptz at time zone 'UTC')::date and day < ($2::timestamptz at time zone 'UTC')::date
