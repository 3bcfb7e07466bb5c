-- How many executions a row stands for: 1/sample_rate, and a thousand million at most.
(1 / greatest(sample_rate, 1e-9))
