-- What keeps a row from being stored: a heading for each kind of a column, or for a column. The table has the same
-- checks; here they have a reason.

-- required
when not converted.has_:column
then :'name' || ' is missing'

-- integer
when converted.has_:column and converted.:column is null
then :'name' || ' is not an integer of 32 bits'

-- number
when converted.has_:column
    and (converted.:column is null or converted.:column not between -1e300 and 1e300)
then :'name' || ' is not a finite number between -1e300 and 1e300'

-- time
when converted.has_:column and converted.:column is null
then :'name' || ' is not a time'
when isfinite(converted.:column)
    and (
        converted.:column <= '0001-01-01 00:00:00+00'
        or converted.:column >= '9999-12-31 23:59:59.999999+00'
    )
then :'name' || ' lies outside the years 1 to 9999 in UTC'

-- flag
when converted.has_:column and converted.:column is null
then :'name' || ' is not true or false'

-- uuid
when converted.has_:column and converted.:column is null
then :'name' || ' is not a UUID'

-- json
when converted.has_:column and converted.:column is null
then :'name' || ' is not JSON'

-- list
when converted.has_:column and converted.:column is null
then :'name' || ' is not a JSON list or object'

-- key
when octet_length(converted.:column) > 512
then :'name' || ' is longer than 512 bytes'

-- message
when converted.has_:column and converted.:column is null
then :'name' || ' is longer than 2000 characters'

-- object
when converted.has_:column
then :'name' || ' is not a JSON object'
when exists (
    select 1
    from jsonb_each(converted.:column) as one
    where jsonb_typeof(one.value) not in ('string', 'number', 'boolean')
        or one.key !~ '^[A-Za-z0-9_.-]{1,64}$'
)
then :'name' || ' has a value that is no text, number or bool, or a key that is not 1 to 64 letters, digits, _ . or -'
when (select count(*) > 32 from jsonb_object_keys(converted.:column))
then :'name' || ' has more than 32 keys'
-- The bytes of JSON without the spaces that Postgres writes after colons and commas.
when octet_length(converted.:column::text) > 4096
    and octet_length(converted.:column::text) - 2 * (select count(*) from jsonb_object_keys(converted.:column)) + 1 > 4096
then :'name' || ' takes more than 4096 bytes of JSON'

-- object of keys
when octet_length(converted.:column::text) > 4096
    and octet_length(converted.:column::text) - 2 * (select count(*) from jsonb_object_keys(converted.:column)) + 1 > 4096
then :'name' || ' takes more than 4096 bytes of JSON'

-- column trace_id
when converted.trace_id = '00000000-0000-0000-0000-000000000000'
then 'trace_id is all zeros, which is no trace id'

-- column id
when converted.id is null
then 'id is missing'

-- column strategy_id
when converted.strategy_id = ''
then 'strategy_id is empty'

-- column duration_ms
when converted.duration_ms < 0
then 'duration_ms is below 0'

-- column nodes_executed
when converted.nodes_executed < 0
then 'nodes_executed is below 0'

-- column sample_rate
when not (converted.sample_rate > 0 and converted.sample_rate <= 1)
then 'sample_rate is not above 0 and at most 1'
