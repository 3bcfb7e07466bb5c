-- How many executions a row stands for: 1/sample_rate, at most a thousand million.
(1 / greatest(sample_rate, 1e-9))
