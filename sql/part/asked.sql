-- The percentiles of a card, a time series and a ranking.
select
    number,
    fraction
from unnest('{0.5,0.95,0.99}'::double precision[]) with ordinality as asked (fraction, number)
