-- What a value of another program means here: a heading for each kind of a column here, from each form of a column
-- there, with what --plan says of it. What has no heading here is read as text. NULL: it means nothing.

-- raw text
(theirs.:column::text)

-- raw any
(theirs.:column)

-- raw jsonb
(nullif(theirs.:column, 'null'))

-- raw json
(nullif(btrim(theirs.:column::text, E' \t\r\n'), 'null'))

-- raw constant
((select constants ->> :'column' from given))

-- text from any: as text
(:value::text)

-- text from jsonb: its text
(:value #>> '{}')

-- text from json: its text
(:value::json #>> '{}')

-- text from text: as it is
(:value)

-- integer from whole: as it is
(case when :value between -2147483648 and 2147483647 then :value::integer end)

-- integer from numeric: as it is, without a fraction
(case when :value between -2147483648 and 2147483647 and :value % 1 = 0 then :value::integer end)

-- integer from real: as it is, without a fraction
(case when :value between -2147483648 and 2147483647 and :value = trunc(:value) then :value::integer end)

-- integer from text: read as a number
(
    case
        when :value ~ '^\s*[-+]?[0-9]{1,10}([.]0*)?\s*$' then
            case when :value::numeric between -2147483648 and 2147483647 then :value::numeric::integer end
    end
)

-- number from whole: as double precision
(:value::double precision)

-- number from numeric: as double precision
(
    case
        when :value between -1e-307 and 1e-307 then 0
        when :value between -1e300 and 1e300 then :value::double precision
    end
)

-- number from real: as double precision
(:value::double precision)

-- number from text: read as a number
(
    case
        when length(:value) <= 400
            and :value ~ '^\s*[-+]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][-+]?[0-9]{1,3})?\s*$'
        then
            case
                when :value::numeric between -1e-307 and 1e-307 then 0
                when :value::numeric between -1e300 and 1e300 then :value::numeric::double precision
            end
    end
)

-- number from interval: in milliseconds
(extract(epoch from :value)::double precision * 1000)

-- time from time: as it is
(:value)

-- time from local: as a time of --time-zone
(:value::timestamp at time zone (select zone from given))

-- time from text: read as a time, of --time-zone if it names no zone
(
    case
        when :value ~ :time_pattern then
            case
                when :value ~ '(Z|UTC|GMT|[-+][0-9:]+)\s*$' and :value ~ '[:]' then :value::timestamptz
                else :value::timestamp at time zone (select zone from given)
            end
    end
)

-- flag from flag: as it is
(:value)

-- flag from text: read as true or false
(
    case
        when lower(btrim(:value)) in ('t', 'true', 'y', 'yes', 'on', '1') then true
        when lower(btrim(:value)) in ('f', 'false', 'n', 'no', 'off', '0') then false
    end
)

-- uuid from uuid: as it is
(:value)

-- uuid from text: read as hexadecimal digits
(case when :value ~* :uuid_pattern then :value::uuid end)

-- uuid from numeric: an integer of 128 bits
(
    case
        when :value::numeric between 0 and 340282366920938463463374607431768211455 and :value::numeric % 1 = 0
        then
            (
                lpad(to_hex((div(:value::numeric, 18446744073709551616) - case
                    when div(:value::numeric, 18446744073709551616) >= 9223372036854775808
                    then 18446744073709551616
                    else 0
                end)::bigint), 16, '0')
                || lpad(to_hex((mod(:value::numeric, 18446744073709551616) - case
                    when mod(:value::numeric, 18446744073709551616) >= 9223372036854775808
                    then 18446744073709551616
                    else 0
                end)::bigint), 16, '0')
            )::uuid
    end
)

-- message from text: without connection strings and passwords
(
    case
        when char_length(:value) > 2000 then null
        when :value ~* '@|://|%3a%2f%2f|passw|pwd' then
            left(
                regexp_replace(
                    regexp_replace(
                        regexp_replace(
                            regexp_replace(
                                regexp_replace(
                                    :value,
                                    :before_password
                                    || '\w?(?:\\+"[^"]*"?|\\+''[^'']*''?|''''[^''\s][^'']*''{0,2}'
                                    || '|''(?:[^''\\]|\\.?|'''')*(?:''|$)|"(?:[^"\\]|\\.?|"")*(?:"|$))',
                                    '\1[cut]',
                                    'gi'
                                ),
                                '[a-z][a-z0-9+.%-]*(://|%3a%2f%2f)\S*@\S*|[a-z][a-z0-9+.%-]*%3a%2f%2f\S*%40\S*'
                                || '|postgres(ql)?(([+]|%2b)\w+)?(://|%3a%2f%2f)\S*',
                                '[cut]',
                                'gi'
                            ),
                            '(\S*@\S*)[a-z][a-z0-9+.%-]*(://|%3a%2f%2f)\S*',
                            '\1[cut]',
                            'gi'
                        ),
                        '(^|\s)[^\s:]+:\S+@',
                        '\1[cut]@',
                        'g'
                    ),
                    :before_password || '(?!\[cut\](?!\w))\S+',
                    '\1[cut]',
                    'gi'
                ),
                2000
            )
        else :value
    end
)

-- before password
'(\m\w*(?:passw(?:or)?d|pwd)\w*[\\"'']*\s*(?:=>|:|=(?!>))\s*)'

-- id from uuid: as it is
(:value)

-- id from whole: a UUID made of the table's name and this value
(case when :value is not null then :made end)

-- id from text: a UUID as it is, else one made of the table's name and this value
(
    case
        when :value is null then null
        when :value ~* :uuid_pattern then :value::uuid
        else :made
    end
)

-- id from key: a UUID made of the table's name and the key
:made

-- hash
md5(
    decode('6b1f9a525f0d5b7e9c1e3d6f0a7c2e41', 'hex')
    || convert_to(
        json_build_array(
            (select schema_name from given),
            (select table_name from given),
            :texts
        )::text,
        'UTF8'
    )
)

-- made
(
    overlay(
        overlay(part.hash placing '3' from 13)
        placing translate(substr(part.hash, 17, 1), '0123456789abcdef', '89ab89ab89ab89ab') from 17
    )::uuid
)

-- parsed
(case when pg_input_is_valid(:value, 'jsonb') then nullif(:value::jsonb, 'null') end)

-- parsed before 16
(case when :value ~ '^\s*([[{"tfn]|-?[0-9])' then nullif(:value::jsonb, 'null') end)

-- parsed json
(
    case
        when strpos(:value, '\u') = 0 then :value::jsonb
        else :parsed
    end
)

-- json from jsonb: as it is
(:value)

-- json from array: as a JSON list
(to_jsonb(:value))

-- json from text: read as JSON
(:parsed)

-- list from jsonb: an object becomes a list of one, JSON within a JSON text is read
(
    case jsonb_typeof(:value)
        when 'array' then :value
        when 'object' then jsonb_build_array(:value)
        when 'string' then :inner_list
    end
)

-- list from json: an object becomes a list of one
(
    case json_typeof(:value::json)
        when 'array' then :parsed_json
        when 'object' then jsonb_build_array(:parsed_json)
        when 'string' then :inner_list
    end
)

-- list from array: as a JSON list
(to_jsonb(:value))

-- list from text: read as JSON, an object becomes a list of one
(
    select
        case jsonb_typeof(one.found)
            when 'array' then one.found
            when 'object' then jsonb_build_array(one.found)
        end
    from (
        select :parsed as found
        offset 0
    ) as one
)

-- object from jsonb: as it is, without nulls
(case when jsonb_typeof(:value) = 'object' then jsonb_strip_nulls(:value) end)

-- object from text: read as JSON, without nulls
(
    select case when jsonb_typeof(one.found) = 'object' then jsonb_strip_nulls(one.found) end
    from (
        select :parsed as found
        offset 0
    ) as one
)

-- attribute from flag: as it is
(to_jsonb(:value))

-- attribute from whole: as it is
(to_jsonb(:value))

-- attribute from numeric: as it is
(to_jsonb(:value))

-- attribute from real: as it is
(to_jsonb(:value))

-- attribute from jsonb: a list or an object as its text
(case when jsonb_typeof(:value) in ('array', 'object') then to_jsonb(:value::text) else :value end)

-- attribute from text: as it is
(to_jsonb(:value))

-- attributes
(:value)

-- attributes of keys
(nullif(jsonb_strip_nulls(jsonb_build_object(:pairs)), '{}'))

-- attributes and keys
(
    case
        when nullif(jsonb_strip_nulls(jsonb_build_object(:pairs)), '{}') is null then :value
        else coalesce(:value, '{}') || jsonb_strip_nulls(jsonb_build_object(:pairs))
    end
)

-- pair
:'name', :value

-- time pattern
(
    '^\s*(?!0000)('
    || '[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))'
    || '|([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29'
    || ')([ T]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?\s*(Z|UTC|GMT|[-+](0[0-9]|1[0-5])(:?[0-5][0-9])?)?)?\s*$'
)

-- uuid pattern
('^([0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$')
