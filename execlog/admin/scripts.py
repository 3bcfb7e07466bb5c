"""Which scripts make a step, and the values that are filled in."""

from __future__ import annotations

from execlog.admin.partitions import Step
from execlog.db.copy_format import timestamp
from execlog.db.files import folder

__all__ = ["archiving_script", "scripts_of", "words_of"]


def archiving_script(name: str) -> str:
    """The text of a script of `sql/archiving/step`, without its values. Raises OSError.

    Args:
        name: The stem of its file.
    """
    return (folder("sql") / "archiving" / "step" / f"{name}.sql").read_text()


def scripts_of(step: Step, *, is_saved: bool) -> list[str]:
    """The scripts of a step, in order. Never raises.

    Args:
        step: The step.
        is_saved: Whether its rows are in files: then it proves that no other rows go.
    """
    before = {"drop": ["close"], "thin": ["close", "copy_failures"]}.get(step.action)
    if not is_saved:
        return [step.action] if before is None else [*before, "lock_log", step.action]
    if before is None:
        return [step.action, "unpurged", "archived"]
    return [*before, "untouched", "lock_log", "unsaved", step.action, "archived"]


def words_of(step: Step) -> dict[str, str]:
    """The values of a step that a statement of DDL can't take as parameters. Never raises."""
    is_purge = step.action == "purge"
    begins = "-infinity" if is_purge else timestamp(step.begins)
    failures_until = {"drop": step.ends, "purge": min(step.begins, step.ends)}.get(step.action)
    return {
        "ok_from": begins,
        "ok_until": timestamp(step.ends),
        "failures_from": begins,
        "failures_until": begins if failures_until is None else timestamp(failures_until),
        "partition": step.partition,
        "thinned": f"{step.partition}_thinned",
        "begins": timestamp(step.begins),
        "ends": timestamp(step.ends),
    }
