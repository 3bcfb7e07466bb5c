-- What runs are drawn by for a replay: how they ended, as text.
(jsonb_build_array(status, case_name)::text)
