-- Whether a status is none that has a name.
(status not in ('ok', 'error', 'timeout', 'limit'))
