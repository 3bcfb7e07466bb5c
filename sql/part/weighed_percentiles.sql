-- What follows a WITH: the percentiles of `run` (duration_ms, weight), of 50, 95 and 99 %, weighed.
asked as (
    :asked
),
:weighed_values(not by_strategy)
