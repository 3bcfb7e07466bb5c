-- The rows that COPY sent, as they are stored: a text that is empty is no NULL.
create temp view offered as
select *
from read_csv(
    :'rows',
    auto_detect = false,
    header = false,
    delim = ',',
    quote = '"',
    escape = '"',
    new_line = '\n',  -- as COPY writes it: a carriage return is text
    nullstr = '\N',
    allow_quoted_nulls = false,
    max_line_size = :longest,
    buffer_size = :buffer,
    strict_mode = true,
    columns = {
        'id': 'uuid',
        'created_at': 'timestamptz',
        'strategy_id': 'varchar',
        'strategy_version': 'integer',
        'strategy_type': 'varchar',
        'realm_id': 'varchar',
        'external_game_id': 'varchar',
        'external_task_id': 'varchar',
        'external_user_id': 'varchar',
        'status': 'varchar',
        'error_code': 'varchar',
        'points': 'double',
        'case_name': 'varchar',
        'duration_ms': 'double',
        'nodes_executed': 'integer',
        'trace': 'varchar',
        'sampled': 'boolean',
        'sample_rate': 'double',
        'parent_strategy_id': 'varchar',
        'notes': 'varchar',
        'trace_id': 'uuid',
        'error_message': 'varchar',
        'stored_at': 'timestamptz',
        'input': 'varchar',
        'attributes': 'varchar'
    }
);
