-- Whether a status is one that an error rate counts.
(status in ('error', 'timeout', 'limit'))
