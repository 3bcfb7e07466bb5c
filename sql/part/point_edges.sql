-- The inner edges of the histogram of points: ten bars of equal width.
select
    points_min + points_step * 1 as at_1,
    points_min + points_step * 2 as at_2,
    points_min + points_step * 3 as at_3,
    points_min + points_step * 4 as at_4,
    points_min + points_step * 5 as at_5,
    points_min + points_step * 6 as at_6,
    points_min + points_step * 7 as at_7,
    points_min + points_step * 8 as at_8,
    points_min + points_step * 9 as at_9
from scale
