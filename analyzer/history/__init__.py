"""The verdict history in ClickHouse, embedded or on a server: the same SQL.

Where to look
    protocol        what the analyzer needs to remember
    clickhouse      what is stored and asked
    memory          the same without a database, for runs that end with the process
    reading/        what people ask
    rows            messages to rows and back
    migrations      numbered SQL, applied once
    connection      how the database is opened
    server_faults   which errors pass, and which are the operator's to mend
    overflow        rows that wait while the disk is full
"""
