-- The number of runs with points, then the number with at least each inner edge of the histogram.
json_build_array(
    count(points),
    count(*) filter (where points >= (select at_1 from edge)),
    count(*) filter (where points >= (select at_2 from edge)),
    count(*) filter (where points >= (select at_3 from edge)),
    count(*) filter (where points >= (select at_4 from edge)),
    count(*) filter (where points >= (select at_5 from edge)),
    count(*) filter (where points >= (select at_6 from edge)),
    count(*) filter (where points >= (select at_7 from edge)),
    count(*) filter (where points >= (select at_8 from edge)),
    count(*) filter (where points >= (select at_9 from edge))
)::text as points_at_least
