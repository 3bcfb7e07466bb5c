-- How far each recorder has come, so that a batch whose commit was not answered is stored once.
--
-- Locks: only objects that this file makes. Expected stall: none.
--
-- One row a recorder, not one a batch: a recorder numbers its batches and stores them in order, so
-- the number of the last one says whether any of them was stored. At ten batches a second that is
-- one row instead of 860,000 a day, and its update touches no index (HOT).

create table execlog.recorder_progress (
    recorder_id uuid not null,
    batch bigint not null,
    started_at timestamptz not null default now(),
    stored_at timestamptz not null default now(),
    constraint recorder_progress_pkey primary key (recorder_id)
) with (fillfactor = 20);  -- room for an update's new version beside the old one

comment on table execlog.recorder_progress is 'One row for each recorder, written in the transaction that stores its rows.';
comment on column execlog.recorder_progress.recorder_id is 'Made anew by each recorder, and by each forked child of it.';
comment on column execlog.recorder_progress.batch is 'Number of the last batch that it stored.';
comment on column execlog.recorder_progress.started_at is 'When it stored its first batch.';
comment on column execlog.recorder_progress.stored_at is 'When it stored its last batch. Rows older than a month are pruned.';
