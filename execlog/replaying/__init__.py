"""What would another version have decided? Executions of the log, evaluated again.

`asking.replay` is the method. `source` reads runs, `draw` says which of them if not all,
`candidate` names the function, `pool` and `worker` call it in processes of their own, `inside` in
this one; `tally` compares each answer with the log, `estimate` says how sure the shares are, and
`result` is the answer. `state` keeps how far it came.
"""

from __future__ import annotations

__all__: list[str] = []
