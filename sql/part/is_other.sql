-- Whether a status is none of the four that are known.
(status not in ('ok', 'error', 'timeout', 'limit'))
