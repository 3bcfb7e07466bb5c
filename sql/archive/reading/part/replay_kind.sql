-- What runs are drawn by for a replay: status and case as one text, which no other two have.
(strlen(status) || ':' || status || coalesce('/' || case_name, ''))
