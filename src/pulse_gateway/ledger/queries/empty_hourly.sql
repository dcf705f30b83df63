-- Take out a span of time, to fill it again. $1: from, $2: up to, not including.
delete from usage_hourly where hour >= $1 and hour < $2
