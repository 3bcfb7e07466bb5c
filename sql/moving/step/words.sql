-- How the parts of a list are written: a heading for each.

-- named
:value as :name

-- key text
theirs.:column::text

-- key
theirs.:column

-- after
(:keys) > (:reached)

-- reached
cast((select after ->> :place from given) as :type)

-- at the beginning
true

-- has
part.:raw is not null as has_:name

-- has no object
part.:raw is not null and :value is null as has_:name

-- has nothing
false as has_:name

-- unknown flag
null::boolean

-- unknown number
null::double precision

-- unknown time
null::timestamptz
